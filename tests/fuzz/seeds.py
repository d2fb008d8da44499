"""Sound inputs of every format, from our own generators: nothing here is anybody's data."""

import gzip
import io
import json
import uuid
import zipfile
from collections.abc import Mapping
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from huntonce.models.lab.company import LabSpec, build_company
from huntonce.models.lab.generate import generate

OWN = {"NewProcessName": "C:\\a.exe", "ProcessId": "0x1", "CommandLine": "a.exe -b"}
TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Author>CORP\\a</Author><URI>\\x</URI><Date>2026-01-01T00:00:00</Date>
  </RegistrationInfo>
  <Triggers><LogonTrigger/><TimeTrigger><StartBoundary>2026-01-01T00:00:00</StartBoundary>
  </TimeTrigger></Triggers>
  <Principals><Principal id="A"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel>
  </Principal></Principals>
  <Settings><Hidden>true</Hidden></Settings>
  <Actions Context="A"><Exec><Command>cmd.exe</Command><Arguments>/c &quot;x&quot;</Arguments>
  </Exec>
  <ComHandler><ClassId>{00000000-0000-0000-0000-000000000000}</ClassId></ComHandler></Actions>
</Task>"""
XML = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-Security-Auditing'/><EventID Qualifiers='0'>4688</EventID>"
    "<TimeCreated SystemTime='2026-03-04T05:06:07.1234567Z'/><EventRecordID>7</EventRecordID>"
    "<Channel>Security</Channel><Computer>WS1</Computer><Security UserID='S-1-5-18'/></System>"
    "<EventData><Data Name='NewProcessName'>C:\\a.exe</Data><Data>x &amp; y</Data></EventData>"
    "</Event>"
)
RULE: dict[str, Any] = {
    "title": "A Task",
    "id": "5013198d-1f6e-4b6e-8a3c-0123456789ab",
    "status": "test",
    "level": "high",
    "tags": ["attack.t1053.005", "attack.persistence"],
    "logsource": {"product": "windows", "category": "process_creation"},
    "detection": {
        "one": {
            "Image|endswith": ["\\schtasks.exe", "\\at?.exe"],
            "CommandLine|contains|all": ["/create", "*temp*"],
        },
        "two": {"CommandLine|re": "(?i)a[bc]+$", "ProcessId": 4, "User": None},
        "three": [{"ParentImage|startswith": "C:\\"}, {"Hidden|exists": True}],
        "words": ["mimikatz", "a\\*b"],
        "net": {"Ip|cidr": "10.0.0.0/8", "Count|gte": 5},
        "condition": "one and not 1 of t* or (words and net)",
    },
    "falsepositives": ["none"],
}
FILTER: dict[str, Any] = {
    "title": "Ours",
    "logsource": {"product": "windows", "category": "process_creation"},
    "filter": {"rules": [RULE["id"]], "known": {"User": "a"}, "condition": "not known"},
}
CORRELATION: dict[str, Any] = {
    "title": "Many",
    "correlation": {
        "type": "event_count",
        "rules": [RULE["id"]],
        "group-by": ["User"],
        "timespan": "5m",
        "condition": {"gte": 3},
    },
}
HUNT: dict[str, Any] = {
    "name": "my-hunt",
    "id": "6c1f6a52-3b1c-4e0e-9f2b-7d6f6d0c1a54",
    "version": "1",
    "title": "My hunt",
    "techniques": ["T1543.003"],
    "scope": "windows",
    "hypothesis": "Somebody installed a service that should not be there.",
    "evidence": "T1543.003",
    "records": "scheduled_task",
    "abnormal": "odd ones",
    "searches": [
        {
            "name": "registered",
            "logsource": {"product": "windows", "service": "security"},
            "detection": {"selection": {"EventID": 4698}, "condition": "selection"},
            "fields": ["TaskName"],
        }
    ],
    "analytics": [
        {
            "name": "odd",
            "type": "matches",
            "weight": 0.5,
            "family": "payload",
            "why": "ran {action}",
            "options": {"all": {"action": "x"}},
        }
    ],
    "allow": [{"name": "ours", "when": {"task": "^x$"}, "owner": "IT", "reason": "it is ours"}],
    "detections": [
        {
            "name": "odd-rule",
            "title": "An Odd Rule",
            "description": "Detects odd things.",
            "level": "high",
            "needs": ["odd"],
            "logsource": {"product": "windows", "service": "security"},
            "detection": {"selection": {"EventID": 4698}, "condition": "selection"},
            "falsepositives": ["None known"],
        }
    ],
}
HUNT_MD = """---
name: Odd tasks
hypothesis: Somebody made a task.
labels: [attack.t1053.005]
rationale: because
provenance: {authors: [{name: A}, B]}
references: [{url: "https://example.org"}, x]
---
# Steps

```sigma
title: x
logsource: {product: windows, service: security}
detection: {s: {EventID: 4698}, condition: s}
```

```kql
SecurityEvent | where EventID == 4698
```
"""
_REGISTRY = (
    "[windows-registry-key:values[*].data = 'x' OR (user-account:user_id = 'a' AND"
    " NOT file:name = 'b')]"
)
_TRAFFIC = (
    "[network-traffic:dst_ref.value = '10.0.0.1'] REPEATS 5 TIMES START t'2026-01-01T00:00:00Z'"
    " STOP t'2026-01-02T00:00:00Z'"
)
PATTERNS = (
    "[file:hashes.'SHA-256' = '" + "a" * 64 + "']",
    "[process:command_line LIKE '%a_b%' AND file:name MATCHES '^a.*b$']",
    "[ipv4-addr:value ISSUBSET '10.0.0.0/8'] OR [domain-name:value IN ('a.example','b.example')]",
    "([url:value != 'x\\'y'] FOLLOWEDBY [file:size > 5]) WITHIN 5 SECONDS",
    _REGISTRY,
    _TRAFFIC,
)


@cache
def lab_records(count: int = 40) -> tuple[bytes, ...]:
    """Some of the first events of a small lab, of as many kinds as there are."""
    company = build_company(LabSpec(hosts=20, days=1))
    found: dict[tuple[str, int], bytes] = {}
    for number, (_, event) in enumerate(generate(company)):
        record: Any = event.record()
        system = record["Event"]["System"]
        found.setdefault((system["Channel"], system["EventID"]), json.dumps(record).encode())
        if len(found) >= count or number > 20_000:
            break
    return tuple(found.values())


def shapes() -> tuple[bytes, ...]:
    """The same event as each collector writes it."""
    nested = {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
                "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 4688},
                "Keywords": "0x8020000000000000",
                "TimeCreated": {"#attributes": {"SystemTime": "2026-03-04T05:06:07.123456Z"}},
                "EventRecordID": 7,
                "Channel": "Security",
                "Computer": "ws1.corp.example",
            },
            "EventData": {"Data": [{"@Name": key, "#text": value} for key, value in OWN.items()]},
        }
    }
    task = json.loads(json.dumps(nested))
    task["Event"]["System"]["EventID"] = 4698
    task["Event"]["EventData"] = {"TaskName": "\\x", "TaskContent": TASK}
    user = json.loads(json.dumps(nested))
    user["Event"]["UserData"] = {"LogFileCleared": {"SubjectUserName": "a", "x": {"y": [1, 2]}}}
    winlogbeat = {
        "@timestamp": "2026-03-04T05:06:07.123456Z",
        "event": {"created": "2026-03-04T05:06:09Z", "code": "4688"},
        "host": {"name": "WS1"},
        "message": "A new process",
        "winlog": {"channel": "security", "event_id": "4688", "record_id": 7, "event_data": OWN},
    }
    old = {
        "@timestamp": "2026-03-04T05:06:07.123456Z",
        "log_name": "Security",
        "event_id": 4688,
        "computer_name": "WS1.corp.example",
        "record_number": "7",
        "event_data": OWN,
    }
    flat = {
        "EventID": 4688,
        "Channel": "Security",
        "Hostname": "WS1.corp.example",
        "EventTime": "2026-03-04 05:06:07",
        "EventReceivedTime": "2026-03-04 05:06:09",
        "@timestamp": "2026-03-04T05:06:07.123456Z",
        "Keywords": -9214364837600034816,
        **OWN,
    }
    dotted = {
        "@timestamp": "2026-03-04T05:06:07.123456Z",
        "event.code": "4688",
        "winlog.channel": "Security",
        "winlog.computer_name": "WS1",
        "process.name.text": "a.exe",
        **{f"winlog.event_data.{name}": value for name, value in OWN.items()},
    }
    wrapped: tuple[dict[str, Any], ...] = (
        {"_source": winlogbeat},
        {"_id": "1", "fields": {name: [value] for name, value in dotted.items()}},
        {"preview": False, "result": {"_raw": XML}},
    )
    ecs = {
        "@timestamp": "2026-03-04T05:06:07.123456Z",
        "event": {"code": "1", "provider": "Microsoft-Windows-Sysmon"},
        "host": {"name": "WS1"},
        "process": {"executable": "C:\\a.exe", "pid": 7},
    }
    every = (nested, task, user, winlogbeat, old, flat, *wrapped, dotted, ecs)
    return tuple(json.dumps(one).encode() for one in every)


def telemetry() -> list[bytes]:
    """Files: lines, an array, an export, CSV, Parquet, gzip and zip of them."""
    events = [*shapes(), *lab_records(8)]
    lines = b"\n".join(events) + b"\n"
    array = b"[" + b",".join(events[:4]) + b"]"
    export = b'{"hits": {"hits": [' + b",".join(events[3:6]) + b"]}}"
    table = (
        b"TimeCreated,EventID,Channel,Computer,CommandLine\n"
        b'2026-03-04T05:06:07Z,4688,Security,WS1,"a ""b"" c"\n'
        b"2026-03-04T05:06:08Z,4689,Security,WS2,x\n"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", lines)
        archive.writestr("b/c.csv", table)
    parquet = io.BytesIO()
    rows = [json.loads(text) for text in shapes()[5:6]]
    pq.write_table(
        pa.Table.from_pylist([{k: str(v) for k, v in one.items()} for one in rows]), parquet
    )
    return [
        *(lines, array, export, table, table.decode().encode("utf-16")),
        *(gzip.compress(lines, 1), packed.getvalue(), parquet.getvalue()),
        f"{XML}\r\n{XML}".encode(),
        f'<?xml version="1.0"?><Events>{XML}{XML}</Events>'.encode("utf-16"),
    ]


_T0 = "2026-01-01T00:00:00Z"


def _stix(kind: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{uuid.UUID(int=number, version=4)}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-02T00:00:00.000Z",
        **more,
    }


def stix_objects() -> list[Mapping[str, Any]]:
    """An object of many types, 2.1 and 2.0."""
    actor = _stix(
        "intrusion-set", 1, name="Group", aliases=["G"], first_seen="2025-01-01T00:00:00Z"
    )
    pattern = _stix(
        "attack-pattern",
        2,
        name="Task",
        external_references=[{"source_name": "mitre-attack", "external_id": "T1053.005"}],
        kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": "persistence"}],
    )
    indicators = [
        _stix(
            "indicator",
            10 + number,
            pattern=text,
            pattern_type="stix",
            valid_from="2026-01-01T00:00:00Z",
            valid_until="2027-01-01T00:00:00Z",
            indicator_types=["malicious-activity"],
            confidence=50,
        )
        for number, text in enumerate(PATTERNS)
    ]
    sigma = _stix(
        "indicator",
        30,
        pattern=json.dumps(RULE),
        pattern_type="sigma",
        valid_from="2026-01-01T00:00:00Z",
    )
    file = {
        "type": "file",
        "spec_version": "2.1",
        "id": f"file--{uuid.UUID(int=40, version=5)}",
        "hashes": {"SHA-256": "a" * 64},
        "name": "a.exe",
        "extensions": {"ntfs-ext": {"sid": "S-1-5-18"}},
    }
    relation = _stix(
        "relationship",
        50,
        relationship_type="uses",
        source_ref=actor["id"],
        target_ref=pattern["id"],
        object_marking_refs=["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
        granular_markings=[{"selectors": ["relationship_type"], "lang": "en"}],
    )
    sighting = _stix("sighting", 51, sighting_of_ref=actor["id"], count=3, observed_data_refs=[])
    opinion = _stix("opinion", 52, opinion="agree", object_refs=[actor["id"]], explanation="x")
    report = _stix(
        "report",
        53,
        name="R",
        published="2026-01-01T00:00:00Z",
        object_refs=[actor["id"]],
        report_types=["threat-report"],
    )
    marking = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": f"marking-definition--{uuid.UUID(int=60, version=4)}",
        "created": "2026-01-01T00:00:00.000Z",
        "name": "TLP:AMBER",
        "extensions": {
            "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {
                "extension_type": "property-extension",
                "tlp_2_0": "amber",
            }
        },
    }
    old = {
        "type": "observed-data",
        "id": f"observed-data--{uuid.UUID(int=70, version=4)}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "first_observed": "2026-01-01T00:00:00Z",
        "last_observed": "2026-01-01T00:00:00Z",
        "number_observed": 1,
        "objects": {
            "0": {
                "type": "file",
                "name": "a",
                "parent_directory_ref": "1",
                "hashes": {"MD5": "a" * 32},
            },
            "1": {"type": "directory", "path": "C:\\"},
            "2": {"type": "process", "pid": 1, "binary_ref": "0", "name": "a"},
        },
    }
    return [
        actor,
        pattern,
        *indicators,
        sigma,
        file,
        relation,
        sighting,
        opinion,
        report,
        marking,
        old,
    ]


def bundle() -> bytes:
    """All of them in a bundle."""
    head = {"type": "bundle", "id": f"bundle--{uuid.UUID(int=99, version=4)}"}
    return json.dumps({**head, "objects": stix_objects()}).encode()


SETTINGS = """
[organisation]
name = "Example"
sectors = ["energy"]
internal_networks = ["10.0.0.0/8"]
[[organisation.change_windows]]
days = ["mon"]
start = 22:00:00
end = 02:00:00
zone = "Europe/Vienna"
[policy]
power_floor = 0.8
default_tlp = "amber"
[policy.thresholds]
deploy = 2.0
[intel.partner]
url = "https://example.org/root/collections/1/"
username = "u"
password = "made-up"
since = 2026-01-01T00:00:00Z
[publish.partner]
discovery = "https://example.org/taxii2/"
collection = "out"
max_tlp = "green"
[approvers.jane]
token = "made-up-made-up"
may = ["deploy"]
[taxii]
port = 0
[siems.main]
kind = "opensearch"
"""
