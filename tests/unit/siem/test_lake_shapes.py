"""One event, written by the collectors that there are, means the same."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.lake.clock import Clock, ClockSamples, describe_offset, parse_time
from huntonce.connectors.siem.lake.ecs import FIELDS
from huntonce.connectors.siem.lake.event import short_host
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.shapes import clock_sample, normalise
from huntonce.connectors.siem.opensearch.fields import ecs_names

HOUR = 3_600_000_000
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC)
MICROSECONDS = int(MOMENT.timestamp()) * 1_000_000 + 123456
OWN = {"NewProcessName": "C:\\a.exe", "ProcessId": "0x1", "CommandLine": ""}

NESTED: dict[str, Any] = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
            "EventID": 4688,
            "Level": 0,
            "Keywords": "0x8020000000000000",
            "TimeCreated": {"#attributes": {"SystemTime": "2026-03-04T05:06:07.123456Z"}},
            "EventRecordID": 7,
            "Channel": "Security",
            "Computer": "ws1.corp.example",
        },
        "EventData": OWN,
    }
}
PYTHON_EVTX = {
    "Event": {
        "System": {
            "Provider": {"@Name": "Microsoft-Windows-Security-Auditing"},
            "EventID": {"@Qualifiers": "", "#text": "4688"},
            "TimeCreated": {"@SystemTime": "2026-03-04 05:06:07.123456"},
            "EventRecordID": "7",
            "Channel": "Security",
            "Computer": "WS1.corp.example",
        },
        "EventData": {"Data": [{"@Name": key, "#text": value} for key, value in OWN.items()]},
    }
}
WINLOGBEAT_6 = {
    "@timestamp": "2026-03-04T05:06:07.123456Z",
    "log_name": "Security",
    "event_id": 4688,
    "computer_name": "WS1.corp.example",
    "record_number": "7",
    "source_name": "Microsoft-Windows-Security-Auditing",
    "event_data": OWN,
}
WINLOGBEAT_7 = {
    "@timestamp": "2026-03-04T05:06:07.123456Z",
    "event": {"created": "2026-03-04T05:06:09Z", "code": "4688"},
    "winlog": {
        "channel": "security",
        "event_id": "4688",
        "computer_name": "WS1",
        "record_id": 7,
        "provider_name": "Microsoft-Windows-Security-Auditing",
        "event_data": OWN,
    },
}
FLAT = {
    "EventID": 4688,
    "Channel": "Security",
    "Hostname": "WS1.corp.example",
    "TimeCreated": "2026-03-04T05:06:07.123456Z",
    "@timestamp": "2026-03-04T05:06:07.123456Z",
    "RecordNumber": 7,
    "SourceName": "Microsoft-Windows-Security-Auditing",
    "Keywords": -9214364837600034816,
    **OWN,
}
DOTTED = {
    "@timestamp": "2026-03-04T05:06:07.123456Z",
    "event.code": "4688",
    "host.name": "ws1",
    "winlog.channel": "Security",
    "winlog.computer_name": "WS1.corp.example",
    "winlog.event_id": 4688,
    "winlog.record_id": "7",
    "winlog.provider_name": "Microsoft-Windows-Security-Auditing",
    "winlog.keywords": ["Audit Success"],
    "process.name": "a.exe",
    **{f"winlog.event_data.{name}": value for name, value in OWN.items()},
}
KIBANA = {
    **{name: value if isinstance(value, list) else [value] for name, value in DOTTED.items()},
    "process.name.text": ["a.exe"],
    "winlog.event_data.CommandLine.keyword": [""],
}
XML = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-Security-Auditing' Guid='{5}'/><EventID>4688</EventID>"
    "<Version>2</Version><Level>0</Level><Keywords>0x8020000000000000</Keywords>"
    "<TimeCreated SystemTime='2026-03-04T05:06:07.1234567Z'/><EventRecordID>7</EventRecordID>"
    "<Channel>Security</Channel><Computer>WS1.corp.example</Computer><Security/></System>"
    "<EventData>"
    + "".join(f"<Data Name='{name}'>{value}</Data>" for name, value in OWN.items())
    + "</EventData></Event>"
)
SHAPES: dict[str, dict[str, Any]] = {
    "evtx-rs": NESTED,
    "python-evtx": PYTHON_EVTX,
    "winlogbeat 6": WINLOGBEAT_6,
    "winlogbeat 7": WINLOGBEAT_7,
    "flat": FLAT,
    "inside _source": {"_source": FLAT},
    "winlogbeat with its message": {**WINLOGBEAT_7, "message": "A new process."},
    "dotted": DOTTED,
    "elasticdump": {"_index": "w", "_id": "1", "_source": WINLOGBEAT_7, "fields": {"x": ["y"]}},
    "Kibana's fields": {"_index": "w", "_id": "1", "_score": None, "fields": KIBANA},
    "Splunk's result": {"preview": False, "offset": 0, "result": {"_raw": XML, "EventID": "9"}},
    "Splunk's result of JSON": {"result": {"_raw": json.dumps(WINLOGBEAT_7), "_time": "x"}},
    "XML kept as the original": {"event": {"code": 1, "original": XML}, "host": {"name": "wec"}},
    "XML with a declaration": {"event": f'<?xml version="1.0" encoding="UTF-16"?>\r\n{XML}'},
}


@pytest.mark.parametrize("document", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_an_event_becomes_the_same_event(document: dict[str, Any]) -> None:
    event = normalise(document)

    assert event.uid == normalise(NESTED).uid
    assert (event.host, event.channel, event.event_id) == ("WS1", "Security", 4688)
    assert (event.record_id, event.recorded) == (7, MICROSECONDS)
    assert event.provider == "Microsoft-Windows-Security-Auditing"
    assert {name: event.fields[name] for name in OWN} == OWN


def test_nxlog_time_is_the_event_time_and_its_zone_that_of_the_collector() -> None:
    event = normalise(
        {
            **FLAT,
            "EventTime": "2026-03-04 01:06:07",
            "EventReceivedTime": "2026-03-04 01:06:09",
            "@timestamp": "2026-03-04T05:06:09.500Z",
            "AccountType": "User",
            "AccountName": "SYSTEM",
            "EventType": "AUDIT_SUCCESS",
        }
    )

    assert event.local
    assert event.hint == 4 * HOUR
    assert event.ingested == MICROSECONDS + 2_376_544
    assert "AccountName" not in event.fields
    assert "EventType" not in event.fields
    assert Clock().correct("WS1", event.recorded, event.hint) == (
        MICROSECONDS - 123456,
        "corrected +4.0h",
    )


def test_a_sysmon_event_type_is_kept() -> None:
    assert normalise({**FLAT, "EventType": "SetValue"}).fields["EventType"] == "SetValue"


def test_a_signed_keywords_mask_is_shown_as_windows_shows_it() -> None:
    assert normalise(FLAT).fields["Keywords"] == "0x8020000000000000"


def test_classic_data_is_lines_of_text() -> None:
    system = {
        **NESTED["Event"]["System"],
        "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 400},
    }
    data = {"Data": {"#text": ["Available", "None", "HostApplication=C:\\x"]}, "Binary": None}

    event = normalise({"Event": {"System": system, "EventData": data}})

    assert event.event_id == 400
    assert event.fields["Data"] == "Available\nNone\nHostApplication=C:\\x"
    assert "Binary" not in event.fields


def test_user_data_is_flattened() -> None:
    data = {"LogFileCleared": {"#attributes": {"x": 1}, "SubjectUserName": "eve"}}

    event = normalise({"Event": {**NESTED["Event"], "EventData": None, "UserData": data}})

    assert event.fields["SubjectUserName"] == "eve"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (3, "3"), (None, None), ([1, {"a": "b"}], '[1,{"a":"b"}]'), ("0x1F", "0x1F")],
)
def test_values_are_text(value: object, text: str | None) -> None:
    event = normalise({"Event": {**NESTED["Event"], "EventData": {"New Value": value}}})

    assert event.fields.get("NewValue") == text


def test_other_fields_make_another_event() -> None:
    other = {"Event": {**NESTED["Event"], "EventData": {**OWN, "CommandLine": "x"}}}

    assert normalise(other).uid != normalise(NESTED).uid


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"EventID": "x"}, "event id"),
        ({"EventID": -1}, "event id"),
        ({"Hostname": ""}, "computer"),
        ({"Channel": None, "SourceName": None}, "channel"),
        ({"TimeCreated": "yesterday", "EventTime": "now"}, "time"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(NotAnEventError, match=said):
        normalise({**FLAT, **change})


@pytest.mark.parametrize(
    ("computer", "host"),
    [
        ("ws1.corp.example", "WS1"),
        ("Ws1", "WS1"),
        ("10.1.2.3", "10.1.2.3"),
        ("fe80::1", "FE80::1"),
        (".x", ".X"),
    ],
)
def test_a_host_is_its_short_name(computer: str, host: str) -> None:
    assert short_host(computer) == host


def sysmon(host: str, recorded: str, utc: str) -> dict[str, Any]:
    return {**FLAT, "Hostname": host, "TimeCreated": recorded, "UtcTime": utc}


def measured(*documents: dict[str, Any]) -> Clock:
    samples = ClockSamples()
    for document in documents:
        sample = clock_sample(document)
        if sample is not None:
            samples.add(*sample)
    return samples.clock()


def test_a_recorders_offset_is_measured_from_sysmon() -> None:
    late = sysmon("WS1", "2020-12-19T07:02:40.000Z", "2020-12-19 12:00:22.210")
    clock = measured(
        *[sysmon("WS1", "2020-12-19T07:00:22.263Z", "2020-12-19 12:00:22.21")] * 3, late
    )

    assert clock.correct("WS1", 0, None) == (5 * HOUR, "corrected +5.0h")
    assert clock.correct("WS2", 0, None) == (5 * HOUR, "corrected +5.0h")


def test_hosts_of_different_zones_have_their_own_offsets_and_no_common_one() -> None:
    clock = measured(
        sysmon("WS1", "2020-12-19T07:00:00Z", "2020-12-19 12:00:00"),
        sysmon("WS2", "2020-12-19T17:30:00Z", "2020-12-19 12:00:00"),
    )

    assert clock.correct("WS2", 0, None) == (-int(5.5 * HOUR), "corrected -5.5h")
    assert clock.correct("WS3", 0, None) == (0, "assumed utc")


def test_samples_that_disagree_prove_nothing() -> None:
    clock = measured(
        sysmon("WS1", "2020-12-19T07:00:00Z", "2020-12-19 12:00:00"),
        sysmon("WS1", "2020-12-19T08:00:00Z", "2020-12-19 12:00:00"),
    )

    assert clock.correct("WS1", 0, None)[1] == "assumed utc"


@pytest.mark.parametrize(
    ("offset", "text"),
    [(0, "utc"), (19 * HOUR, "corrected +19.0h"), (int(5.75 * HOUR), "corrected +5.75h")],
)
def test_an_offset_is_told_in_hours(offset: int, text: str) -> None:
    assert describe_offset(offset) == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04T05:06:07.1234567Z",
        "2026-03-04 05:06:07.123456 UTC",
        "2026-03-04T07:06:07.123456+02:00",
        MICROSECONDS / 1_000_000,
        MICROSECONDS,
    ],
)
def test_times_are_read_in_their_usual_forms(text: object) -> None:
    assert math.isclose(parse_time(text)[0], MICROSECONDS, abs_tol=1)


LISTED = ("dotted", "Kibana's fields", "evtx-rs", "flat", "Splunk's result")


@pytest.mark.parametrize("shape", LISTED)
def test_the_audit_mask_is_as_windows_keeps_it_in_any_shape(shape: str) -> None:
    assert normalise(SHAPES[shape]).fields["Keywords"] == "0x8020000000000000"


def test_unnamed_values_are_data_whether_winlogbeat_numbers_them_or_not() -> None:
    system = {**NESTED["Event"]["System"], "EventID": 400, "Channel": "Windows PowerShell"}
    data = {"Data": {"#text": ["Available", "None", "HostApplication=x"]}}
    numbered = {"param1": "Available", "param2": "None", "param3": "HostApplication=x"}
    log = {**WINLOGBEAT_7["winlog"], "event_id": 400, "channel": "Windows PowerShell"}

    beat = normalise({**WINLOGBEAT_7, "winlog": {**log, "event_data": numbered}})

    assert beat.uid == normalise({"Event": {"System": system, "EventData": data}}).uid


ECS = {
    "@timestamp": "2026-03-04T05:06:07.123456Z",
    "event": {"code": "1", "provider": "Microsoft-Windows-Sysmon", "created": "2026-03-04T05:07Z"},
    "host": {"name": "ws1"},
    "process": {"executable": "C:\\a.exe", "command_line": "a /b", "pid": 7,
                "parent": {"executable": "C:\\p.exe"}},
    "user": {"name": "eve"},
}  # fmt: skip


def test_ecs_alone_gives_what_is_certain_and_says_what_it_lacks() -> None:
    event = normalise(ECS)

    assert (event.host, event.channel) == ("WS1", "Microsoft-Windows-Sysmon/Operational")
    assert event.fields == {
        "Image": "C:\\a.exe",
        "CommandLine": "a /b",
        "ProcessId": "7",
        "ParentImage": "C:\\p.exe",
    }
    assert "ECS without winlog" in event.lacking


def test_whole_events_lack_nothing() -> None:
    assert {normalise(document).lacking for document in SHAPES.values()} == {""}


@pytest.mark.parametrize(
    ("outer", "said"),
    [
        ({"code": "1", "provider": "Some Vendor"}, "event.provider is 'Some Vendor'"),
        ({"code": "1"}, "no event.provider"),
        ({"code": "user_login", "provider": "auditd"}, "event.code is no number"),
    ],
)
def test_ecs_of_a_log_that_cannot_be_told_is_refused(outer: dict[str, Any], said: str) -> None:
    with pytest.raises(NotAnEventError, match=said):
        normalise({**ECS, "event": outer})


def test_ecs_fields_are_where_published_pipelines_have_them() -> None:
    categories = {
        1: "process_creation",
        3: "network_connection",
        5: "process_termination",
        7: "image_load",
        11: "file_event",
        12: "registry_event",
        13: "registry_set",
        14: "registry_rename",
        22: "dns_query",
        4688: "process_creation",
        4104: "ps_script",
    }
    sigma = {"NewProcessName": "Image", "ParentProcessName": "ParentImage"}
    compared = 0
    for (_, number), fields in FIELDS.items():
        known = ecs_names(categories[number], "")
        for name, path in fields.items():
            if moved := known.get(sigma.get(name, name).lower()):
                compared += 1
                assert path in moved, (number, name)
    assert compared > 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KEYS = [
    *("Event", "System", "EventData", "UserData", "EventID", "Channel", "Computer", "Hostname"),
    *("TimeCreated", "EventTime", "@timestamp", "winlog", "event_id", "log_name", "event_data"),
    *("Provider", "#attributes", "#text", "SystemTime", "Data", "_source", "TaskContent", "event"),
    *("result", "_raw", "fields", "_id", "event.code", "event.original", "winlog.channel"),
    *("winlog.event_data.A", "winlog.event_data", "keywords", "user_data", "message"),
]
event_like = st.recursive(
    json_values,
    lambda inner: st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=8),
    max_leaves=12,
)


def taken_or_refused(document: object) -> str:
    """The event's id, or the reason why it is none."""
    try:
        return normalise(document).uid
    except NotAnEventError as error:
        return str(error)


@settings(max_examples=200)
@given(event_like)
def test_any_json_is_an_event_or_refused_with_a_reason(document: object) -> None:
    assert taken_or_refused(document)


@settings(max_examples=150)
@given(st.sampled_from(sorted(SHAPES)), st.sampled_from(KEYS), event_like)
def test_an_event_with_one_value_replaced_never_crashes(
    shape: str, key: str, value: object
) -> None:
    document = dict(SHAPES[shape])
    if "Event" in document and key != "Event":
        event = dict(document["Event"])
        document["Event"] = {**event, "System": {**event["System"], key: value}, key: value}
    else:
        document[key] = value

    assert taken_or_refused(document)


@pytest.mark.parametrize("name", ["event", "Event", "xml", "result", "_source", "event.original"])
def test_what_a_field_holds_is_never_taken_for_the_event(name: str) -> None:
    flat = {
        "EventID": 4688,
        "Channel": "Security",
        "Hostname": "ws1.corp.example",
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "@timestamp": "2026-03-04T05:06:07.123456Z",
        "CommandLine": "evil.exe",
        name: XML,
    }

    event = normalise(flat)

    assert (event.host, event.event_id) == ("WS1", 4688)
    assert event.fields["CommandLine"] == "evil.exe"
