"""Sigma rules as searches that Splunk runs: they say what the rule says, or are refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.siem.splunk.translating import translate
from huntonce.models.errors import UnsupportedError
from tests.support.splunk_saved import Filter

SPLUNK = SplunkSettings(url="https://splunk:8089", token="a-token")
PLACE = {
    "index": "wineventlog",
    "sourcetype": "XmlWinEventLog",
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "EventCode": "3",
}
HOSTILE = st.text(
    st.sampled_from('ab\\"`*?|[]()$=,\n %_<>-.:/\u017f') | st.characters(codec="utf-8"),
    min_size=1,
    max_size=12,
)


def rule(detection: dict[str, Any], category: str = "network_connection") -> str:
    return json.dumps(
        {
            "title": "T",
            "id": "0f0f0f0f-1111-4222-8333-444444444444",
            "status": "experimental",
            "logsource": {"category": category, "product": "windows"},
            "detection": detection,
        }
    )


@settings(max_examples=120, deadline=None)
@given(HOSTILE, st.sampled_from(["", "|contains", "|startswith", "|endswith"]))
def test_a_value_stays_in_its_quotes_and_means_itself(value: str, modifier: str) -> None:
    escaped = value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
    try:
        query = translate("s", rule({"s": {f"Image{modifier}": escaped}, "condition": "s"}), SPLUNK)
    except UnsupportedError:
        odd = not value.isascii() or not value.isprintable() or value.count("$") > 1
        assert odd or "*" in value or "`" in value
        return

    before = "*" if modifier in {"|contains", "|endswith"} else ""
    after = "*" if modifier in {"|contains", "|startswith"} else ""
    read = Filter(query)
    assert read.tests == [
        ("index", "wineventlog"),
        ("sourcetype", "XmlWinEventLog"),
        ("Channel", PLACE["Channel"]),
        ("EventCode", "3"),
        ("Image", f"{before}{value}{after}"),
    ]
    assert read({**PLACE, "Image": value.upper()})
    assert not read({**PLACE, "Image": f"{value}~"}) or after
    assert not read({**PLACE, "Channel": "Security", "Image": value})


CONDITIONS = st.recursive(
    st.sampled_from(["a", "b", "c", "n"]),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(CONDITIONS, st.sets(st.sampled_from("abc")))
def test_conditions_keep_their_logic(condition: str, holds: set[str]) -> None:
    detection = {name: {f"F{name}": ["x", "y*"]} for name in "abc"}
    detection["n"] = {"Fa": None}  # type: ignore[dict-item]
    query = translate("s", rule({**detection, "condition": condition}), SPLUNK)

    truth = {**{name: name in holds for name in "abc"}, "n": "a" not in holds}
    fields = {f"F{name}": "Y1" for name in holds}
    assert Filter(query)({**PLACE, **fields}) is eval(condition, {}, truth)  # noqa: S307 - ours


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ({"Image|re": "a.*b"}, "REGEX of Image"),
        ({"Image|cased": "Ab"}, "C_EQ of Image"),
        ({"Image": "a?b"}, "stands for one character"),
        ({"Image": ""}, "no empty values"),
        ({"Image|fieldref": "ParentImage"}, "FIELD of Image"),
        ({"Image|gt": 5}, "COMPARE of Image"),
        ({"Provider_Name": "x"}, "Provider_Name is not mapped"),
        ({"source": "x"}, "cannot be written as a field"),
        ({"a delete=b": "x"}, "cannot be written as a field"),
        (["word"], "every field"),
        ({"A": "$x", "B": "y$"}, None),
        ({"A|contains": "$x$"}, "placeholder"),
    ],
)
def test_what_would_mean_something_else_is_refused(test: Any, reason: str | None) -> None:
    text = rule({"s": test, "condition": "s"})
    if reason is None:
        assert Filter(translate("s", text, SPLUNK))({**PLACE, "A": "$X", "B": "y$"})
        return
    with pytest.raises(UnsupportedError, match=reason):
        translate("s", text, SPLUNK)


def test_a_category_is_looked_for_where_it_is_recorded_under_its_names_there() -> None:
    text = rule({"s": {"Image": "x", "EventID": 4688}, "condition": "s"}, "process_creation")
    read = Filter(translate("s", text, SPLUNK))

    audit = {**PLACE, "Channel": "Security", "EventCode": "4688"}
    assert read({**audit, "NewProcessName": "X"})
    assert not read({**audit, "Image": "X"})
    assert not read({**PLACE, "EventCode": "1", "Image": "X"})


def test_a_task_definition_is_not_read_by_splunk() -> None:
    text = json.loads(rule({"s": {"TaskCommand": "x"}, "condition": "s"}))
    text["logsource"] = {"product": "windows", "service": "security"}
    with pytest.raises(UnsupportedError, match="not mapped"):
        translate("s", json.dumps(text), SPLUNK)
