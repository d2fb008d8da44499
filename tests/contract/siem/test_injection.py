"""Values, keywords, regexes and field names of a rule are data on every SIEM, whatever they hold.

What a query language of one of them would take for its own syntax (SQL, SPL, KQL, a cluster's
queries) finds the events that hold just that text, and no other; log fields hold the same texts.
"""

from collections.abc import Callable
from typing import Any

from huntonce.connectors.siem.memory import MemorySiem
from huntonce.models.errors import UnsupportedError
from huntonce.models.ports import Siem
from tests.contract.siem.test_siem_contract import SYSMON, WINDOW, event, open_siem, search

__all__ = ["open_siem"]

HOSTILE = (
    "' OR 1=1 --",
    "'); DROP TABLE events; --",
    "\\' OR ''='",
    '" | delete index=* "',
    "[search index=* | outputlookup x.csv]",
    "`macro(1)` $tok$ $$x$$",
    '"] | union * | where "a" == "a',
    "x' // | externaldata(a:string)['h']",
    '"}},{"script":{"source":"x"}}',
    "* OR *:* /.*/ ?",
    "%s%(a)s{}{0}{{7*7}}<%= 7*7 %>",
    "a | b\\",
)
EVENTS = [
    event(number + 1, "ws1", SYSMON, 1, Image="C:\\a.exe", CommandLine=f"run {text} now")
    for number, text in enumerate(HOSTILE)
] + [event(100, "ws2", SYSMON, 1, Image="C:\\b.exe", CommandLine="nothing of it")]
FIELDS = ("CommandLine",)
Open = Callable[[list[dict[str, Any]]], Siem]


def lines(siem: Siem, detection: dict[str, object]) -> list[str]:
    """The command lines of what is found."""
    found = siem.search(search(detection, fields=FIELDS), WINDOW)
    return sorted(found.table.column("CommandLine").to_pylist())


def test_a_value_finds_the_event_that_holds_it_and_no_other(open_siem: Open) -> None:
    siem = open_siem(EVENTS)

    for text in HOSTILE:
        escaped = text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
        detection: dict[str, object] = {
            "s": {"CommandLine|contains": escaped},
            "condition": "s",
        }
        assert lines(siem, detection) == [f"run {text} now"], text
        assert lines(MemorySiem(EVENTS), detection) == [f"run {text} now"], text


def test_a_field_s_name_is_a_name(open_siem: Open) -> None:
    siem = open_siem(EVENTS)

    for text in HOSTILE:
        for modifier in ("", "|contains"):
            detection: dict[str, object] = {"s": {f"{text}{modifier}": "now"}, "condition": "s"}
            try:
                found = lines(siem, detection)
            except UnsupportedError:
                continue  # refused by us; a stand-in that cannot parse its query is another fault
            assert found == [], text


def test_a_projected_field_s_name_is_a_name(open_siem: Open) -> None:
    siem = open_siem(EVENTS)
    only: dict[str, object] = {"s": {"CommandLine|contains": "nothing of it"}, "condition": "s"}

    for text in HOSTILE:
        try:
            found = siem.search(search(only, fields=("CommandLine", text)), WINDOW).table
        except UnsupportedError:
            continue
        assert found.column("CommandLine").to_pylist() == ["nothing of it"], text
