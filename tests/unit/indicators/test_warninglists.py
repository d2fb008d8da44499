"""Values that are everywhere are left out, with the reason; what tells something stays."""

import json
from pathlib import Path

import pytest

from huntonce.connectors.sigma.rule_values import rule_observables
from huntonce.connectors.sigma.stix_patterns import parse_pattern
from huntonce.models.errors import ConfigError
from huntonce.models.indicators.patterns import leaves
from huntonce.models.indicators.warninglists import load_warninglists, spared

LISTS = load_warninglists()


@pytest.mark.parametrize(
    "pattern",
    [
        "[file:name = 'cmd.exe']", "[file:name = 'REG.EXE']",
        "[file:name = 'C:\\\\Windows\\\\System32\\\\reg.exe']", "[process:name = 'svchost.exe']",
        "[domain-name:value = 'pastebin.com']", "[domain-name:value = 'www.google.com']",
        "[domain-name:value = 'dc1.corp.local']", "[url:value = 'https://pastebin.com/']",
        "[ipv4-addr:value = '127.0.0.1']", "[ipv4-addr:value = '192.168.0.0/16']",
        "[ipv4-addr:value = '203.0.113.7']", "[ipv4-addr:value = '8.8.8.8']",
        "[ipv6-addr:value = 'fe80::1']", "[url:value = 'http://10.0.0.1:8080/x']",
        "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']",
        "[file:hashes.'SHA-1' = 'DA39A3EE5E6B4B0D3255BFEF95601890AFD80709']",
        "[process:command_line = 'whoami /all']", "[process:command_line = 'cmd.exe']",
        "[process:command_line LIKE '%']", "[file:name LIKE '%.%']",
        "[network-traffic:dst_port = 443]", "[ipv4-addr:value = '0.0.0.0/0']",
        "[network-traffic:dst_ref.value = '127.0.0.1' AND network-traffic:dst_port = 443]",
        "[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\SYSTEM']",
        "[directory:path = 'C:\\\\Windows\\\\System32\\\\']",
        "[file:name = 'cmd.exe' OR domain-name:value = 'pastebin.com']",
        "[file:name = 'cmd.exe' AND file:name != 'x.exe']",
    ],
)  # fmt: skip
def test_an_everyday_value_alone_is_left_out_with_a_reason(pattern: str) -> None:
    left, reasons = spared(parse_pattern(pattern), LISTS)

    assert left is None
    assert all(": " in reason for reason in reasons)


@pytest.mark.parametrize(
    "pattern",
    [
        "[file:name = 'evil.exe']",
        "[file:name = 'cmd.exe' AND file:hashes.MD5 = 'aabbccddeeff00112233445566778899']",
        "[url:value = 'https://pastebin.com/raw/abcd']",
        "[domain-name:value = 'evil.github.io']",
        "[domain-name:value = 'notpastebin.com']",
        "[ipv4-addr:value = '91.197.98.188']",
        "[process:command_line = 'whoami /all > c:\\\\x']",
        "[network-traffic:dst_ref.value = '9.1.2.3' AND network-traffic:dst_port = 443]",
    ],
)
def test_what_tells_something_stays(pattern: str) -> None:
    tree = parse_pattern(pattern)

    assert spared(tree, LISTS)[0] == tree


def test_of_alternatives_only_the_everyday_ones_go() -> None:
    left, reasons = spared(parse_pattern("[file:name = 'cmd.exe' OR file:name = 'x1.exe']"), LISTS)

    assert left is not None
    assert [leaf.value for leaf in leaves(left)] == ["x1.exe"]
    assert reasons == ("cmd.exe: a program that every Windows has",)


RULE = """
title: A Rule
logsource: {category: %s, product: windows}
detection:
    sel: {%s}
    condition: sel
"""


@pytest.mark.parametrize(
    ("category", "selection", "left_out"),
    [
        ("network_connection", "DestinationHostname: [pastebin.com, paste.ee]", True),
        ("network_connection", "DestinationIp: 127.0.0.1, DestinationPort: 4444", True),
        ("process_creation", "Image|endswith: '\\cmd.exe'", True),
        (
            "process_creation",
            "Image|endswith: '\\cmd.exe', CommandLine|contains: --headless",
            False,
        ),
        ("network_connection", "Image|endswith: '\\msbuild.exe', Initiated: 'true'", False),
        ("dns_query", "QueryName: evil.org", False),
    ],
)
def test_a_sigma_rule_is_left_out_where_all_that_it_asks_for_is_everyday(
    category: str,
    selection: str,
    left_out: bool,
) -> None:
    values = rule_observables(RULE % (category, selection))

    assert values is not None
    assert (spared(values, LISTS)[0] is None) is left_out


def test_a_users_lists_are_added(tmp_path: Path) -> None:
    folder = tmp_path / "warninglists"
    folder.mkdir()
    for kind, values in (("file-name", ["OurTool.exe"]), ("network", ["9.9.0.0/16"])):
        document = {"name": kind, "kind": kind, "reason": "ours", "values": values}
        (folder / f"{kind}.json").write_text(json.dumps(document))

    lists = load_warninglists([tmp_path])

    for pattern in (
        "[file:name = 'ourtool.exe']",
        "[ipv4-addr:value = '9.9.1.1']",
        "[file:name = 'cmd.exe']",
    ):
        assert spared(parse_pattern(pattern), lists)[0] is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"kind": "domain", "reason": "", "values": []}',
     '{"kind": "odd", "reason": "x", "values": []}',
     '{"kind": "hash", "reason": "x", "values": [1]}',
     '{"kind": "network", "reason": "x", "values": ["nine"]}'],
)  # fmt: skip
def test_a_file_that_is_no_list_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "warninglists").mkdir()
    (tmp_path / "warninglists" / "bad.json").write_text(text)

    with pytest.raises(ConfigError):
        load_warninglists([tmp_path])
