"""STIX patterns to searches: what one event shows is taken whole, the rest refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.sigma.stix_patterns import compile_pattern, parse_pattern
from huntonce.models.errors import DomainError
from huntonce.models.indicators.matching import detection, holds
from huntonce.models.indicators.patterns import Comparison, Op, leaves


def places(pattern: str) -> dict[str, Any]:
    return {b.place.name: b.tree for b in compile_pattern(parse_pattern(pattern)).branches}


def shown(pattern: str, place: str, row: dict[str, str]) -> bool:
    return holds(places(pattern)[place], row)


@pytest.mark.parametrize(
    ("pattern", "place", "hit", "near"),
    [
        ("[file:name = 'evil.exe']", "process start", {"Image": "C:\\x\\Evil.EXE"},
         {"Image": "C:\\x\\notevil.exe"}),
        ("[file:hashes.'SHA-256' = '" + "ab" * 32 + "']", "loaded image",
         {"Hashes": "MD5=00,SHA256=" + "AB" * 32}, {"Hashes": "SHA256=" + "AA" * 32}),
        ("[file:hashes.MD5 = '" + "cd" * 16 + "']", "process start",
         {"Hashes": "MD5=" + "CD" * 16}, {"Hashes": "IMPHASH=" + "CD" * 16}),
        ("[domain-name:value = 'evil.example.org']", "DNS query",
         {"QueryName": "EVIL.example.org"}, {"QueryName": "notevil.example.org"}),
        ("[ipv4-addr:value = '9.9.9.0/24']", "network connection",
         {"DestinationIp": "9.9.9.7", "SourceIp": "10.0.0.1"},
         {"DestinationIp": "9.9.8.7", "SourceIp": "10.0.0.1"}),
        ("[ipv4-addr:value ISSUBSET '9.9.9.0/24']", "logon", {"IpAddress": "9.9.9.9"},
         {"IpAddress": "-"}),
        ("[url:value = 'http://evil.org/a?b=1']", "process start",
         {"CommandLine": "curl HTTPS://evil.org/a?b=1 -o x"}, {"CommandLine": "curl evil.org/a"}),
        ("[process:command_line LIKE '%-enc %']", "process start",
         {"CommandLine": "powershell -ENC JAB"}, {"CommandLine": "powershell -e JAB"}),
        ("[process:command_line = 'schtasks /create /tn evil']", "process start",
         {"CommandLine": "cmd /c schtasks /create /tn evil /f"}, {"CommandLine": "schtasks"}),
        ("[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\Software\\\\Evil']", "registry",
         {"TargetObject": "HKLM\\SOFTWARE\\Evil\\Run"}, {"TargetObject": "HKLM\\Software\\Evil2"}),
        ("[windows-registry-key:key = 'HKEY_CURRENT_USER\\\\Software\\\\Evil']", "registry",
         {"TargetObject": "HKU\\S-1-5-21-1\\Software\\Evil"}, {"TargetObject": "HKU\\S\\Software"}),
        ("[network-traffic:dst_ref.value = '9.9.9.9' AND network-traffic:dst_port = 443]",
         "network connection", {"DestinationIp": "9.9.9.9", "DestinationPort": "443"},
         {"DestinationIp": "9.9.9.9", "DestinationPort": "80"}),
        ("[file:name IN ('a1.exe', 'b1.exe')]", "new file", {"TargetFilename": "C:\\b1.exe"},
         {"TargetFilename": "C:\\c1.exe"}),
        ("[file:name = 'a.exe' AND file:name != 'b.exe']", "new file",
         {"TargetFilename": "C:\\a.exe"}, {"TargetFilename": "C:\\b.exe"}),
        ("[process:name = 'a.exe' AND process:command_line NOT LIKE '%good%']", "process start",
         {"Image": "C:\\a.exe", "CommandLine": "bad"},
         {"Image": "C:\\a.exe", "CommandLine": "good"}),
        ("[file:name = 'a.exe'] OR [file:name = 'b.exe']", "new file",
         {"TargetFilename": "C:\\b.exe"}, {"TargetFilename": "C:\\c.exe"}),
    ],
)  # fmt: skip
def test_a_comparison_is_a_test_of_the_fields_that_show_it(
    pattern: str, place: str, hit: dict[str, str], near: dict[str, str]
) -> None:
    assert shown(pattern, place, hit)
    assert not shown(pattern, place, near)


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("[file:name = 'a'] FOLLOWEDBY [file:name = 'b']", "FOLLOWEDBY"),
        ("[file:name = 'a'] AND [file:name = 'b']", "two observations"),
        ("([file:name = 'a']) WITHIN 5 SECONDS", "WITHIN"),
        ("[file:name = 'a'] REPEATS 5 TIMES", "REPEATS"),
        ("[file:name = 'a'] START t'2026-01-01T00:00:00Z' STOP t'2026-01-02T00:00:00Z'", "START"),
        ("[ipv4-addr:value ISSUPERSET '9.9.9.0/24']", "ISSUPERSET"),
        ("[EXISTS file:name]", "EXISTS"),
        ("[artifact:payload_bin = h'00ff']", "bytes"),
        ("file:name = 'a'", "not a STIX pattern"),
        ("", "not a STIX pattern"),
        ("[" * 5000, "STIX pattern"),
        ("[" + "(" * 3000 + "file:name = 'a'" + ")" * 3000 + "]", "nests too deeply"),
    ],
)
def test_what_no_single_event_shows_is_refused_with_the_reason(pattern: str, word: str) -> None:
    with pytest.raises(DomainError, match=word):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("[x509-certificate:issuer = 'x']", "x509-certificate:issuer"),
        ("[file:name = 'a.exe' AND x509-certificate:issuer = 'x']", "x509-certificate:issuer"),
        ("[file:name = 'a.exe' AND domain-name:value = 'b.org']", "together"),
        ("[file:name != 'a.exe']", "nothing to look for"),
        ("[file:hashes.'SHA-512' = 'aa']", "file:hashes.SHA-512"),
        ("[process:name = 'a.exe' AND (process:cwd = 'C:' OR email-addr:value = 'x')]", "email"),
    ],
)
def test_what_logs_cannot_show_whole_is_not_searched_in_part(pattern: str, word: str) -> None:
    compiled = compile_pattern(parse_pattern(pattern))

    assert compiled.branches == ()
    assert any(word in reason for reason in compiled.unmatched)


def test_of_alternatives_those_that_can_be_shown_are_and_the_others_are_named() -> None:
    compiled = compile_pattern(parse_pattern("[file:name = 'a.exe' OR email-addr:value = 'x@y']"))

    assert compiled.branches
    assert compiled.unmatched == ("email-addr:value: no log source that is known here records it",)


def test_escapes_quotes_and_indexes_are_read() -> None:
    tree = parse_pattern(r"[file:x_y.'a b'[0].c = 'it\'s a \\ here' AND file:size >= 5]")

    assert list(leaves(tree)) == [
        Comparison(path="file:x_y.a b[*].c", op=Op.EQUALS, value="it's a \\ here"),
        Comparison(path="file:size", op=Op.AT_LEAST, value="5"),
    ]


@given(st.text(max_size=40))
def test_the_short_way_reads_what_the_grammar_reads(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    single = f"[file:name = '{quoted}']"

    assert parse_pattern(single) == Comparison(path="file:name", op=Op.EQUALS, value=value)
    assert list(leaves(parse_pattern(f"({single})"))) == [parse_pattern(single)]


@given(st.text(max_size=60))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        compiled = compile_pattern(parse_pattern(text))
    except DomainError:
        return
    assert compiled.branches or compiled.unmatched


def test_plain_values_of_one_field_share_a_selection() -> None:
    trees = [places(f"[file:name = '{name}.exe']")["new file"] for name in ("a", "b", "c*?")]

    found = detection(trees)

    assert found == {
        "list0": {"TargetFilename|endswith": ["\\\\a.exe", "\\\\b.exe", "\\\\c\\*\\?.exe"]},
        "condition": "list0",
    }
