"""What a Sigma condition means must not change on its way to DuckDB: each probe names the rows that
the Sigma specification says it matches."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
import yaml

from huntonce.connectors.sigma.duckdb_backend import predicate, quote_name
from huntonce.connectors.sigma.rules import search_rule
from huntonce.models.errors import DomainError
from huntonce.models.query import SigmaSearch

COLUMNS = ("Image", "CommandLine", "User", "EventID", "Ip", "Hidden", "Ref", "Par.Name", "Sp Ace")
ROWS: dict[int, tuple[Any, ...]] = {
    1: (
        r"C:\Windows\System32\schtasks.exe",
        r"schtasks /create /tn X_Y /tr C:\Temp\a.exe",
        "CORP\\alice",
        "1",
        "10.1.2.3",
        None,
        "alice",
        "p.q",
        "s",
    ),
    2: (
        r"c:\windows\system32\SCHTASKS.EXE",
        "SCHTASKS /Create /TN xzy",
        "corp\\BOB",
        "4688",
        "192.168.0.5",
        "true",
        "corp\\BOB",
        None,
        None,
    ),
    3: (
        r"C:\Users\a\schtasksXexe",
        "100% sure",
        None,
        "4698",
        "fe80::1",
        "false",
        "",
        "P.Q",
        "S",
    ),
    4: (
        "/usr/bin/curl",
        "it's a 'quoted' arg",
        "",
        "10",
        "2001:db8::5",
        None,
        None,
        "x",
        "y",
    ),
    5: (None, "powershell -enc AAAA*BB?C [x]", "root", "99", "10.200.0.1", None, None, None, "a b"),
    6: ("X", "a_b", "adm_in", "100", "11.0.0.1", None, None, None, None),
    7: ("Y", "aXb", "admXin", "1000", "bad", None, None, None, None),
    8: ("Z", "multi\nline needle here", "u", "5", None, None, None, None, None),
    9: ("W", "IEX aHR0cDovLzE= {0} %TEMP%", "v", "0x10", "10.0.0.0.evil", "1", None, None, None),
}
ALL = set(ROWS)

PROBES: list[tuple[str, str, set[int]]] = [
    ("equality ignores case", r"{s: {User: 'corp\bob'}, condition: s}", {2}),
    ("endswith ignores case", r"{s: {Image|endswith: '\schtasks.exe'}, condition: s}", {1, 2}),
    ("startswith ignores case", r"{s: {Image|startswith: 'c:\windows'}, condition: s}", {1, 2}),
    ("contains ignores case", "{s: {CommandLine|contains: '/CREATE'}, condition: s}", {1, 2}),
    ("all of", "{s: {CommandLine|contains|all: ['/create','/tn']}, condition: s}", {1, 2}),
    ("underscore in contains", "{s: {CommandLine|contains: 'a_b'}, condition: s}", {6}),
    ("underscore in equality", "{s: {User: 'adm_in'}, condition: s}", {6}),
    ("percent is literal", "{s: {CommandLine|contains: '0% s'}, condition: s}", {3}),
    ("percent is no wildcard", "{s: {CommandLine|contains: '1%e'}, condition: s}", set()),
    ("percent at both ends", "{s: {CommandLine|contains: '%TEMP%'}, condition: s}", {9}),
    ("star", "{s: {CommandLine: 'schtasks*xzy'}, condition: s}", {2}),
    ("question mark", "{s: {CommandLine: 'a?b'}, condition: s}", {6, 7}),
    ("escaped wildcards", r"{s: {CommandLine|contains: 'AAAA\*BB\?C'}, condition: s}", {5}),
    ("brackets", "{s: {CommandLine|contains: '[x]'}, condition: s}", {5}),
    ("braces", "{s: {CommandLine|contains: '{0}'}, condition: s}", {9}),
    ("quotes", "{s: {CommandLine|contains: \"it's a 'q\"}, condition: s}", {4}),
    ("backslash inside", r"{s: {Image|contains: '\System32\'}, condition: s}", {1, 2}),
    (
        "not, where the field is absent",
        "{s: {EventID|gte: 1}, f: {User: root}, condition: s and not f}",
        {1, 2, 3, 4, 6, 7, 8},
    ),
    (
        "not one of several filters",
        """{s: {EventID|gte: 1}, f_a: {Image|endswith: .exe}, f_b: {User|contains: adm},
            condition: s and not 1 of f_*}""",
        {3, 4, 5, 8},
    ),
    ("double not", "{s: {User: root}, condition: not (not s)}", {5}),
    ("not over an or with absent fields", "{a: {Ref: x}, b: {Image: X}, condition: not (a or b)}",
     ALL - {6}),
    ("null", "{s: {User: null}, condition: s}", {3}),
    ("empty text", "{s: {User: ''}, condition: s}", {4}),
    ("null or a value", "{s: {User: [null, 'root']}, condition: s}", {3, 5}),
    ("exists", "{s: {User|exists: true}, condition: s}", ALL - {3}),
    ("does not exist", "{s: {User|exists: false}, condition: s}", {3}),
    ("number", "{s: {EventID: 4688}, condition: s}", {2}),
    ("numbers", "{s: {EventID: [4688, 4698]}, condition: s}", {2, 3}),
    ("greater", "{s: {EventID|gt: 99}, condition: s}", {2, 3, 6, 7}),
    ("number as text", "{s: {EventID: '4688'}, condition: s}", {2}),
    ("number that starts with", "{s: {EventID|startswith: '46'}, condition: s}", {2, 3}),
    ("hex is text", "{s: {EventID: '0x10'}, condition: s}", {9}),
    ("number too large for a double", "{s: {EventID: 9223372036854775809}, condition: s}", set()),
    ("boolean", "{s: {Hidden: true}, condition: s}", {2, 9}),
    ("boolean as text", "{s: {Hidden: 'TRUE'}, condition: s}", {2}),
    ("regex", r"{s: {CommandLine|re: '^schtasks\s+/create'}, condition: s}", {1}),
    ("regex, any case", r"{s: {CommandLine|re|i: '^schtasks\s+/create'}, condition: s}", {1, 2}),
    ("regex anywhere", "{s: {CommandLine|re: 'AAAA.BB'}, condition: s}", {5}),
    ("regex with quotes", "{s: {CommandLine|re: \"'quoted'\"}, condition: s}", {4}),
    ("regex over a line end", r"{s: {CommandLine|re: 'multi\nline'}, condition: s}", {8}),
    ("cased", "{s: {CommandLine|cased|contains: '/Create'}, condition: s}", {2}),
    ("cased equality", "{s: {User|cased: 'ROOT'}, condition: s}", set()),
    ("cased with brackets", "{s: {CommandLine|cased|contains: '[x]'}, condition: s}", {5}),
    ("network of 8 bits", "{s: {Ip|cidr: '10.0.0.0/8'}, condition: s}", {1, 5}),
    ("network of 25 bits", "{s: {Ip|cidr: '10.1.2.0/25'}, condition: s}", {1}),
    ("network of 32 bits", "{s: {Ip|cidr: '11.0.0.1/32'}, condition: s}", {6}),
    ("not in a network", "{s: {Ip|cidr: '10.0.0.0/8'}, condition: not s}", ALL - {1, 5}),
    ("IPv6 network", "{s: {Ip|cidr: '2001:db8::/32'}, condition: s}", {4}),
    ("IPv6 link-local network", "{s: {Ip|cidr: 'fe80::/10'}, condition: s}", {3}),
    ("field reference", "{s: {User|fieldref: Ref}, condition: s}", {2}),
    ("field reference at the end", "{s: {User|fieldref|endswith: Ref}, condition: s}", {1, 2}),
    ("dotted field", "{s: {Par.Name: 'p.q'}, condition: s}", {1, 3}),
    ("spaced field", "{s: {'Sp Ace': 's'}, condition: s}", {1, 3}),
    ("keyword", "{k: ['needle here'], condition: k}", {8}),
    ("keyword ignores case", "{k: ['NEEDLE'], condition: k}", {8}),
    ("keyword with a backslash", r"{k: ['\System32\'], condition: k}", {1, 2}),
    ("keyword with a wildcard", "{k: ['multi*here'], condition: k}", {8}),
    ("keyword stays within one value", "{k: ['schtasks.exe*xzy'], condition: k}", set()),
    ("keyword number", "{k: [4698], condition: k}", {3}),
    ("keywords all", "{k: {'|all': ['/create', 'xzy']}, condition: k}", {2}),
    ("not a keyword", "{k: ['a'], condition: not k}", {8}),
    ("keyword regex", "{k: {'|re': 'need.e'}, condition: k}", {8}),
    ("base64 offset", "{s: {CommandLine|base64offset|contains: 'http://'}, condition: s}", {9}),
    ("windash", "{s: {CommandLine|windash|contains: '-create'}, condition: s}", {1, 2}),
    ("over a line end", "{s: {CommandLine: 'multi*here'}, condition: s}", {8}),
    ("one of them", "{a: {EventID: 5}, b: {EventID: 10}, condition: 1 of them}", {4, 8}),
    ("list of maps", "{a: [{EventID: 5}, {User: root}], condition: a}", {5, 8}),
    ("absent field", "{s: {Nowhere: x}, condition: s}", set()),
    ("absent field is null", "{s: {Nowhere: null, User: root}, condition: s}", {5}),
    ("not an absent field", "{s: {User: root}, f: {Nowhere|contains: x}, condition: s and not f}",
     {5}),
]  # fmt: skip


class Columns:
    """Every column is text; anything else is absent."""

    def text(self, field: str) -> str:
        return quote_name(field) if field in COLUMNS else "CAST(NULL AS VARCHAR)"

    def number(self, field: str) -> str:
        return f"TRY_CAST({self.text(field)} AS DOUBLE)"

    def everything(self) -> str:
        return f"[{', '.join(quote_name(column) for column in COLUMNS)}]"


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        columns = ", ".join(f"{quote_name(column)} VARCHAR" for column in COLUMNS)
        connection.execute(f"CREATE TABLE events (id INTEGER, {columns})")
        marks = ", ".join("?" * (len(COLUMNS) + 1))
        connection.executemany(
            f"INSERT INTO events VALUES ({marks})",  # noqa: S608
            [(number, *values) for number, values in ROWS.items()],
        )
        yield connection


def condition(detection: dict[str, Any]) -> str:
    search = SigmaSearch(name="probe", logsource={"product": "windows"}, detection=detection)
    return predicate(search_rule(search), Columns())


def matches(rows: duckdb.DuckDBPyConnection, detection: dict[str, Any]) -> set[int]:
    found = rows.execute(f"SELECT id FROM events WHERE {condition(detection)}").fetchall()  # noqa: S608
    return {row[0] for row in found}


@pytest.mark.parametrize(
    ("detection", "expected"), [probe[1:] for probe in PROBES], ids=[probe[0] for probe in PROBES]
)
def test_a_detection_matches_what_sigma_says(
    rows: duckdb.DuckDBPyConnection, detection: str, expected: set[int]
) -> None:
    assert matches(rows, yaml.safe_load(detection)) == expected


HOSTILE = [
    "x' OR '1'='1",
    "x') OR 1=1 --",
    "'; DROP TABLE events; --",
    "\\' OR 1=1 --",
    '" OR ""="',
    "x' ESCAPE '' OR TRUE --",
    "{field} {value} {0}",
    "$$ OR TRUE $$",
    "' || (SELECT 'root') || '",
]
MODIFIERS = ["", "|contains", "|startswith", "|endswith", "|cased", "|cased|contains"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("modifier", MODIFIERS)
def test_a_hostile_value_stays_data(
    rows: duckdb.DuckDBPyConnection, value: str, modifier: str
) -> None:
    detection = {"s": {f"User{modifier}": value}, "condition": "s"}

    assert matches(rows, detection) == set()
    assert rows.execute("SELECT count(*) FROM events").fetchone() == (len(ROWS),)


@pytest.mark.parametrize("value", [text for text in HOSTILE if not set(text) & set("(){}$|*")])
def test_a_hostile_regex_stays_data(rows: duckdb.DuckDBPyConnection, value: str) -> None:
    assert matches(rows, {"s": {"User|re": value}, "condition": "s"}) == set()


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_keyword_stays_data(rows: duckdb.DuckDBPyConnection, value: str) -> None:
    assert matches(rows, {"k": [value], "condition": "k"}) == set()


@pytest.mark.parametrize("field", [*HOSTILE, 'User" = "User" OR "User', "User|re"[:4] + "\n--"])
def test_a_hostile_field_name_stays_a_name(rows: duckdb.DuckDBPyConnection, field: str) -> None:
    assert matches(rows, {"s": {field.replace("|", "_"): "root"}, "condition": "s"}) == set()


@pytest.mark.parametrize("value", ["a\x00b", "\x00"])
def test_a_nul_character_is_refused(value: str) -> None:
    with pytest.raises(DomainError, match="NUL"):
        condition({"s": {"User": value}, "condition": "s"})


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(DomainError):
        condition({"s": {"User": value}, "condition": "s"})


def test_the_escape_clause_is_left_out_where_nothing_is_escaped() -> None:
    assert "ESCAPE" not in condition({"s": {"User|contains": "plain"}, "condition": "s"})
    assert "ESCAPE" in condition({"s": {"User|contains": "a_b"}, "condition": "s"})
