"""Windows events as Winlogbeat with its modules indexes them: documents, mapping, bulk loading."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.event import Event
from huntonce.connectors.siem.lake.fields import add_fields
from huntonce.connectors.siem.lake.layout import files, partitions
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.opensearch.fields import ecs_names
from huntonce.connectors.sigma.channels import SECURITY, SERVICE_CHANNELS, SYSMON
from huntonce.connectors.sigma.logsource import _SYSMON_IDS, variants

Document = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER = ("Level", "Task", "Opcode", "Keywords", "Version")
_TASK = (
    *("TaskAuthor", "TaskCommand", "TaskArguments", "TaskUserId", "TaskRunLevel"),
    *("TaskLogonType", "TaskHidden", "TaskTriggers", "TaskUri"),
)
_BULK = 2_000
_KEYWORD = {"type": "keyword", "ignore_above": 1024}
_CASELESS = {
    "type": "keyword",
    "ignore_above": 1024,
    "fields": {"caseless": {"type": "keyword", "ignore_above": 1024, "normalizer": "lowercase"}},
}

MAPPINGS: Document = {
    "dynamic_templates": [
        {
            "event_data": {
                "path_match": "winlog.event_data.*",
                "match_mapping_type": "string",
                "mapping": _KEYWORD,
            }
        },
        {"strings": {"match_mapping_type": "string", "mapping": _KEYWORD}},
    ],
    "date_detection": False,
    "properties": {
        "@timestamp": {"type": "date"},
        "message": {"type": "text"},
        "event": {"properties": {"code": _KEYWORD, "created": {"type": "date"}}},
        "process": {
            "properties": {
                "executable": _CASELESS,
                "command_line": {"type": "wildcard", "fields": {"text": {"type": "text"}}},
                "pid": {"type": "long"},
                "parent": {
                    "properties": {
                        "executable": _CASELESS,
                        "command_line": {"type": "wildcard", "fields": {"text": {"type": "text"}}},
                        "pid": {"type": "long"},
                    }
                },
            }
        },
        "source": {"properties": {"ip": {"type": "ip"}, "port": {"type": "long"}}},
        "destination": {"properties": {"ip": {"type": "ip"}, "port": {"type": "long"}}},
        "winlog": {
            "properties": {
                "channel": _KEYWORD,
                "computer_name": _KEYWORD,
                "event_id": _KEYWORD,
                "provider_name": _KEYWORD,
                "record_id": _KEYWORD,
                "keywords": _KEYWORD,
                "level": _KEYWORD,
                "opcode": _KEYWORD,
                "task": _KEYWORD,
                "version": _KEYWORD,
                "time_created": {"type": "date"},
                "user": {"properties": {"identifier": _KEYWORD}},
            }
        },
    },
}

_LONGS = frozenset(
    {"process.pid", "process.parent.pid", "source.port", "destination.port", "process.thread.id"}
)
_POWERSHELL = ("ps_script", "ps_module", "ps_classic_start", "ps_classic_provider_start")


@cache
def _copies(channel: str, event_id: int) -> Mapping[str, str]:
    """Names of event data to the ECS fields that pySigma's pipeline expects them in."""
    found: dict[str, str] = {}
    for category in _SYSMON_IDS if channel in (SYSMON, SECURITY) else _POWERSHELL:
        for place in variants({"product": "windows", "category": category}):
            if place.channel == channel and event_id in place.event_ids:
                for name, paths in ecs_names(category, "").items():
                    own = {key.lower(): to for key, to in place.renames.items()}.get(name, name)
                    found.setdefault(own.lower(), paths[-1])
    if not found:
        service = next((s for s, names in SERVICE_CHANNELS.items() if channel in names), "")
        found = {name: paths[-1] for name, paths in ecs_names("", service).items()}
    return found


def document(original: Mapping[str, Any], at: datetime | None = None) -> Document:
    """An event in any shape that the lake reads, as Winlogbeat would have sent it.

    Args:
        original: Parsed JSON.
        at: Its corrected time, where the recorder's clock was off.
    """
    event = normalise(dict(original))
    moment = at or _EPOCH + timedelta(microseconds=event.recorded)
    stamp = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    own = _own_fields(original, event)
    log: Document = {
        "channel": event.channel,
        "computer_name": event.computer,
        "event_id": str(event.event_id),
        "provider_name": event.provider,
        "time_created": stamp,
        "event_data": own,
        **{name.lower(): event.fields[name] for name in _HEADER if _of_header(name, event, own)},
    }
    if event.record_id is not None:
        log["record_id"] = event.record_id
    if "UserID" in event.fields and "UserID" not in own:
        log["user"] = {"identifier": event.fields["UserID"]}
    found: Document = {
        "@timestamp": stamp,
        "event": {"code": str(event.event_id), "provider": event.provider, "kind": "event"},
        "host": {"name": event.computer},
        "agent": {"type": "winlogbeat"},
        "winlog": log,
    }
    _copy(found, event)
    return found


def _own_fields(original: Mapping[str, Any], event: Event) -> dict[str, str]:
    fields: dict[str, str] = {}
    inner = original.get("Event")
    if isinstance(inner, dict):
        add_fields(fields, inner.get("EventData"))
        for element in (inner.get("UserData") or {}).values():
            add_fields(fields, element)
        return {name: event.fields.get(name, value) for name, value in fields.items()}
    return {name: value for name, value in event.fields.items() if name not in (*_HEADER, *_TASK)}


def _of_header(name: str, event: Event, own: Mapping[str, str]) -> bool:
    return name in event.fields and name not in own


def _copy(found: Document, event: Event) -> None:
    copies = _copies(event.channel, event.event_id)
    for name, text in event.fields.items():
        path = copies.get(name.lower())
        if path is None or not text or text == "-":
            continue
        value: str | int = text
        if path.endswith(".ip"):
            try:
                value = str(ipaddress.ip_address(text))
            except ValueError:
                continue
        elif path in _LONGS:
            if not text.isdigit():
                continue
            value = int(text)
        *outer, last = path.split(".")
        place = found
        for part in outer:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                break
        else:
            place.setdefault(last, value)


class Indexer:
    """Fills indices of one cluster on loopback."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def create(self, index: str, mappings: Document | None = None) -> None:
        """An empty index; one of that name before is deleted."""
        self.delete(index)
        body = {
            "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
            "mappings": MAPPINGS if mappings is None else mappings,
        }
        body["settings"]["index.mapping.total_fields.limit"] = 5_000
        self._done(self._http.put(f"/{index}", json=body))

    def delete(self, index: str) -> None:
        """Delete an index; nothing where there is none."""
        self._http.delete(f"/{index}")

    def load(self, index: str, documents: Iterable[Document]) -> int:
        """Index documents and make them visible; how many."""
        count = 0
        action = orjson.dumps({"index": {}}) + b"\n"
        left = iter(documents)
        while some := list(islice(left, _BULK)):
            body = b"".join(action + orjson.dumps(one) + b"\n" for one in some)
            answer = self._http.post(
                f"/{index}/_bulk",
                content=body,
                headers={"Content-Type": "application/x-ndjson"},
                params={"filter_path": "errors,items.*.error"},
            )
            self._done(answer)
            if answer.json().get("errors"):
                raise AssertionError(answer.text[:2000])
            count += len(some)
        self._done(self._http.post(f"/{index}/_refresh"))
        return count

    def get(self, path: str) -> Any:
        """What the cluster answers to a GET."""
        answer = self._http.get(path)
        self._done(answer)
        return answer.json()

    def close(self) -> None:
        self._http.close()

    @staticmethod
    def _done(answer: httpx.Response) -> None:
        assert answer.is_success, answer.text[:2000]


def documents_of_lake(root: Path) -> Iterator[Document]:
    """Every event of a lake as Winlogbeat documents, at its corrected time."""
    for partition in partitions(root):
        for path in files(root, partition):
            table = pq.read_table(path, columns=["@raw", "@time"])
            for raw, at in zip(
                table.column("@raw").to_pylist(), table.column("@time").to_pylist(), strict=True
            ):
                yield document(orjson.loads(raw), at)
