"""Small lakes and rule folders for tests of the sweep."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import yaml

from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.sweep.report import SweepReport
from huntonce.connectors.siem.sweep.sweeping import sweep
from huntonce.connectors.sigma.packcache import load_pack

SYSMON = "Microsoft-Windows-Sysmon/Operational"
START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def event(
    number: int,
    channel: str,
    event_id: int,
    *,
    host: str = "PC1",
    after: float = 0,
    **fields: str,
) -> bytes:
    """An event in the shape of evtx-rs, ``after`` seconds past ``START``."""
    moment = (START + timedelta(seconds=after)).isoformat().replace("+00:00", "Z")
    return orjson.dumps(
        {
            "Event": {
                "System": {
                    "Provider": {"#attributes": {"Name": "A provider"}},
                    "EventID": event_id,
                    "TimeCreated": {"#attributes": {"SystemTime": moment}},
                    "EventRecordID": number,
                    "Channel": channel,
                    "Computer": host,
                },
                "EventData": fields,
            }
        }
    )


def process(number: int, image: str, command: str, **more: Any) -> bytes:
    """A Sysmon event of a process that starts."""
    return event(number, SYSMON, 1, Image=image, CommandLine=command, **more)


def rule(number: int, detection: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A rule over process creation, unless ``logsource`` says otherwise."""
    return {
        "title": f"Rule {number}",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "level": "high",
        "author": "A. Author",
        "logsource": {"category": "process_creation", "product": "windows"},
        "detection": dict(detection),
        **more,
    }


class Site:
    """A lake and a folder of rules."""

    def __init__(self, root: Path) -> None:
        self.lake = root / "lake"
        self.rules = root / "rules"
        self.rules.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._loads = 0

    def load(self, *events: bytes) -> None:
        """Put events into the lake."""
        self._loads += 1
        path = self._root / f"events-{self._loads}.jsonl"
        path.write_bytes(b"\n".join(events))
        report = load_paths(self.lake, [path])
        assert report.set_aside == ()

    def write(self, name: str, *documents: Mapping[str, Any]) -> None:
        """Put rules into a file."""
        texts = [
            yaml.safe_dump(dict(found), allow_unicode=True, sort_keys=False) for found in documents
        ]
        (self.rules / name).write_text("\n---\n".join(texts), encoding="utf-8")

    def sweep(self, **more: Any) -> SweepReport:
        """Run the rules over the lake."""
        return sweep(self.lake, load_pack([self.rules]), **more)


def records(report: SweepReport) -> dict[str, list[int]]:
    """Title of each rule that hit to the record numbers of its events."""
    return {
        hits.title: sorted(found.record_id or 0 for found, _ in hits.events())
        for hits in report.hits
    }


def branches(report: SweepReport, title: str) -> Sequence[str]:
    """The branches of a rule's hits in the order of time."""
    return [branch for hits in report.hits if hits.title == title for _, branch in hits.events()]
