"""A small estate with its logs, and the kit of a stage over it: memory connectors, a real store."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from huntonce.connectors.cases.memory import MemoryCases
from huntonce.connectors.detections.memory import MemoryDetections
from huntonce.connectors.intel.author import author_case
from huntonce.connectors.intel.author_words import author_opinion, author_ruled_out
from huntonce.connectors.siem.memory import MemorySiem
from huntonce.connectors.sigma.received import read_rule
from huntonce.connectors.sigma.rules import validate_rule
from huntonce.connectors.tickets.memory import MemoryTickets
from huntonce.models.approval import Rule
from huntonce.models.attack import Catalogue, load_catalogue
from huntonce.models.content import Library, load_library
from huntonce.models.ids import digest, stix_id
from huntonce.models.keeping import UnitOfWork
from huntonce.models.policy import Policy
from huntonce.models.profile import Asset, Profile
from huntonce.models.stages.kit import Kit
from huntonce.models.state.store import Store, open_store, sqlite_url
from tests.support.builders import SCHEDULER, SECURITY, T0

HOSTS = ("PC1", "PC2", "SRV1")
HOURS = 24
EVIL_TASK = "\\Microsoft\\Windows\\Sync Health"
EVIL_LINE = "powershell.exe -nop -w hidden -enc JABhAD0AMQAyADMANAA1ADYANwA4ADkA"
AUTO = {"deploy": "auto", "open_ticket": "auto", "open_case": "auto", "publish": "ask"}
ASK = dict.fromkeys(AUTO, "ask")
Event = dict[str, Any]


@dataclass
class TestClock:
    """A clock that the test moves."""

    __test__ = False
    moment: datetime = T0 + timedelta(hours=HOURS + 1)

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, **span: float) -> None:
        self.moment += timedelta(**span)


@cache
def library() -> Library:
    """The shipped hunts and evidence."""
    return load_library()


@cache
def catalogue() -> Catalogue:
    """The shipped ATT&CK."""
    return load_catalogue()


def try_out(bodies: Sequence[str]) -> MemorySiem:
    """The second engine of certificates: a SIEM that holds just these events."""
    return MemorySiem((json.loads(body) for body in bodies), name="second")


# ---------------------------------------------------------------- events


def event(channel: str, event_id: int, host: str, time: datetime, **data: str) -> Event:
    """An event as evtx-rs gives it as JSON; its record id follows from what it is."""
    number = abs(hash_of(channel, event_id, host, time.isoformat(), *sorted(data.items())))
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "test"}},
                "EventID": event_id,
                "TimeCreated": {
                    "#attributes": {"SystemTime": f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"},
                },
                "EventRecordID": number,
                "Channel": channel,
                "Computer": f"{host}.corp.example",
            },
            "EventData": data,
        }
    }


def hash_of(*parts: object) -> int:
    """A number that is the same in every process."""
    return int(digest(*parts)[:8], 16)


def subject(account: str = "ann", sid: str = "S-1-5-21-1-2-3-1001") -> dict[str, str]:
    """Who an audit event is about."""
    return {
        "SubjectUserName": account,
        "SubjectDomainName": "CORP" if sid.startswith("S-1-5-21") else "NT AUTHORITY",
        "SubjectUserSid": sid,
        "SubjectLogonId": "0xabc1",
    }


SYSTEM = subject("SYSTEM", "S-1-5-18")


def task_xml(line: str, *, run_as: str = "S-1-5-18", author: str = "") -> str:
    """A task definition."""
    command, _, arguments = line.partition(" ")
    wrote = f"<RegistrationInfo><Author>{author}</Author></RegistrationInfo>" if author else ""
    return (
        '<?xml version="1.0" encoding="UTF-16"?>'
        '<Task xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">'
        f"{wrote}<Triggers><LogonTrigger/></Triggers>"
        f"<Principals><Principal><UserId>{run_as}</UserId></Principal></Principals>"
        f"<Actions><Exec><Command>{command}</Command><Arguments>{arguments}</Arguments></Exec>"
        "</Actions></Task>"
    )


def registered(
    host: str, time: datetime, name: str, xml: str, who: dict[str, str] | None = None
) -> Event:
    """Security 4698."""
    who = who or subject()
    return event(SECURITY, 4698, host, time, TaskName=name, TaskContent=xml, **who)


def updated(host: str, time: datetime, name: str = "\\Housekeeping") -> Event:
    """Security 4702 by the system itself: it proves that the audit subcategory is on."""
    xml = task_xml("%SystemRoot%\\System32\\rundll32.exe")
    return event(SECURITY, 4702, host, time, TaskName=name, TaskContentNew=xml, **SYSTEM)


def process(host: str, time: datetime, line: str, *, with_line: bool = True) -> Event:
    """Security 4688."""
    return event(
        SECURITY,
        4688,
        host,
        time,
        NewProcessName=f"C:\\Windows\\System32\\{line.split(' ', maxsplit=1)[0]}",
        ParentProcessName="C:\\Windows\\System32\\svchost.exe",
        CommandLine=line if with_line else "",
        **SYSTEM,
    )


def scheduler(host: str, time: datetime) -> Event:
    """TaskScheduler 200: an action started; it proves that the channel is on."""
    return event(SCHEDULER, 200, host, time, TaskName="\\Housekeeping", ActionName="rundll32.exe")


def quiet_day(
    hosts: Iterable[str] = HOSTS,
    *,
    start: datetime = T0,
    hours: int = HOURS,
    no_line: Iterable[str] = ("PC2",),
    no_audit: Iterable[str] = (),
    channel: bool = False,
) -> list[Event]:
    """Ordinary events of hosts, hour by hour.

    ``no_line``: 4688 without command line. ``no_audit``: no task auditing. ``channel``: whether
    the TaskScheduler channel is on.
    """
    events = []
    for hour in range(hours):
        moment = start + timedelta(hours=hour)
        for host in hosts:
            line = "svchost.exe -k netsvcs"
            events.append(process(host, moment, line, with_line=host not in set(no_line)))
            if hour % 6 == 0 and host not in set(no_audit):
                events.append(updated(host, moment + timedelta(minutes=1)))
            if channel and hour % 6 == 0:
                events.append(scheduler(host, moment + timedelta(minutes=2)))
    return events


def intrusion(host: str = "PC1", hour: float = 10, task: str = EVIL_TASK) -> list[Event]:
    """A task of a person as SYSTEM, in Windows' own namespace, with an encoded command."""
    moment = T0 + timedelta(hours=hour)
    return [
        registered(host, moment, task, task_xml(EVIL_LINE)),
        process(host, moment + timedelta(minutes=3), EVIL_LINE),
    ]


# ---------------------------------------------------------------- kits


@dataclass
class Bench:
    """A kit with its parts at hand."""

    kit: Kit
    store: Store
    clock: TestClock
    siem: MemorySiem
    tickets: MemoryTickets
    cases: MemoryCases
    rules: MemoryDetections = field(default_factory=MemoryDetections)

    def unit(self) -> UnitOfWork:
        return self.store.unit()

    def counts(self) -> dict[str, int]:
        """How many of everything there is, here and at the desks."""
        with self.store.unit() as unit:
            return {
                "hypotheses": len(unit.hypotheses.list()),
                "hunts": len(unit.hunts.list()),
                "findings": len(unit.findings.list()),
                "gaps": len(unit.gaps.list()),
                "detections": len(unit.detections.list()),
                "cases": len(unit.cases.list()),
                "messages": len(unit.outbox.list()),
                "tickets at the desk": len(self.tickets.list()),
                "cases at the desk": len(self.cases.list()),
                "rules at the store": len(self.rules.live),
            }


def rules_of(modes: Mapping[str, str], people: int = 1) -> dict[str, Rule]:
    """A policy's rules from kind of change to mode."""
    return {change: Rule(mode=mode, people=people) for change, mode in modes.items()}


def bench(
    folder: Path,
    events: Iterable[Event] = (),
    *,
    approvals: dict[str, str] | None = None,
    **profile: Any,
) -> Bench:
    """A bench over events; its three hosts are the asset list."""
    clock = TestClock()
    store = open_store(sqlite_url(folder / "huntonce.db"), clock=clock)
    siem = MemorySiem(events)
    tickets, rules = MemoryTickets(), MemoryDetections()
    cases = MemoryCases(clock=clock)
    kit = Kit(
        open_unit=store.unit,
        clock=clock,
        profile=Profile(
            name="Test Company",
            assets=tuple(Asset(host=host) for host in HOSTS),
            gap_owner="platform",
            **profile,
        ),
        policy=Policy(approvals=rules_of(approvals or AUTO)),
        library=library(),
        catalogue=catalogue(),
        siem=siem,
        tickets=tickets,
        cases=cases,
        rules=rules,
        check_rule=validate_rule,
        read_rule=read_rule,
        try_out=try_out,
        engine="test",
        author_case=lambda intel, mask: author_case(intel, mask=mask),
        author_ruled_out=lambda intel, mask: author_ruled_out(intel, mask=mask),
        author_opinion=lambda intel, mask: author_opinion(intel, mask=mask),
        own_identity=stix_id("identity", "Test Company"),
        mask_key=lambda destination: destination.encode().ljust(32, b"k"),
        actor="test",
    )
    return Bench(kit, store, clock, siem, tickets, cases, rules)


def with_kit(made: Bench, **changes: Any) -> Bench:
    """The same bench with other parts in its kit."""
    return replace(made, kit=replace(made.kit, **changes))
