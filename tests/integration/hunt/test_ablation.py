"""Take something away from telemetry, and exactly its gap appears; put it back, and it is gone."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from huntonce.connectors.siem.memory import MemorySiem
from huntonce.models.gap import Gap, GapKind
from huntonce.models.lab.company import SOURCES, LabSpec, build_company
from huntonce.models.lab.generate import host_days
from huntonce.models.profile import Asset, Profile
from huntonce.models.stages.probe import Sight, look
from huntonce.models.surfacing import Asking, surface
from tests.support.kits import library
from tests.support.shared import shared_data

pytestmark = pytest.mark.integration

Event = dict[str, Any]
Keep = Callable[[Event], Event | None]
SECURITY = "Security"
SCHEDULER = "Microsoft-Windows-TaskScheduler/Operational"
SPEC = LabSpec(seed=5, hosts=20, days=4, mended=tuple(SOURCES))


@cache
def lab() -> tuple[str, ...]:
    """Four days of a small company in which every source is on everywhere, as JSON."""
    company = build_company(SPEC)
    return tuple(
        json.dumps(event.record(), default=str)
        for _, events in host_days(company)
        for event in events
    )


@cache
def recording() -> tuple[str, ...]:
    """A real recording of a few machines."""
    path = shared_data("telemetry", "jsonl", "attack", "otrf-schtask_create.jsonl")
    return tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())


def host_of(event: Event) -> str:
    name = event["Event"]["System"]["Computer"] if "Event" in event else event["Hostname"]
    return str(name).split(".", maxsplit=1)[0].upper()


def channel_of(event: Event) -> str:
    return str(event["Event"]["System"]["Channel"] if "Event" in event else event["Channel"])


def id_of(event: Event) -> int:
    found = event["Event"]["System"]["EventID"] if "Event" in event else event["EventID"]
    return int(found["#text"] if isinstance(found, dict) else found)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a technique's evidence looks like in some telemetry."""

    sight: Sight
    gaps: tuple[Gap, ...]

    def faults(self) -> set[tuple[str, str, str, frozenset[str]]]:
        return {(g.source, g.gap_kind.value, g.field_name, frozenset(g.hosts)) for g in self.gaps}


@cache
def estate(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({host_of(json.loads(line)) for line in lines}))


def see(lines: tuple[str, ...], keep: Keep | None = None) -> Seen:
    """Probe what is left of the events; the hosts in scope are always all of them."""
    events: Iterable[Event] = (json.loads(line) for line in lines)
    if keep is not None:
        events = [kept for event in events if (kept := keep(event)) is not None]
    siem = MemorySiem(events)
    extent = MemorySiem(json.loads(line) for line in (lines[0], lines[-1])).extent()
    window = siem.extent() or extent
    assert window is not None
    profile = Profile(assets=tuple(Asset(host=host) for host in estate(lines)))
    model = library().evidence["T1053.005"]
    sight = look(siem, model, window, profile)
    asking = Asking(
        siem="memory", hypothesis_key="h", behaviour="T1053.005", owner="", window=window
    )
    return Seen(sight=sight, gaps=surface(model, sight.probes, asking))


@cache
def whole(lines: tuple[str, ...]) -> Seen:
    return see(lines)


def without(**what: Any) -> Keep:
    """Events but for those of a channel, id or host; with ``field``, these lose the field only."""

    def keep(event: Event) -> Event | None:
        same = all(
            of(event) == what[name]
            for name, of in (("channel", channel_of), ("event_id", id_of), ("host", host_of))
            if name in what
        )
        if not same:
            return event
        if "field" not in what:
            return None
        for place in (event, event.get("Event", {}).get("EventData") or {}):
            if what["field"] in place:
                place[what["field"]] = ""
        return event

    return keep


def test_where_every_source_is_on_there_is_no_gap_and_full_power() -> None:
    seen = whole(lab())

    assert seen.faults() == set()
    assert seen.sight.power.value == 1


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ({"channel": SCHEDULER}, {("taskscheduler/operational", "no_source", "")}),
        (
            {"channel": SECURITY, "event_id": 4688},
            {
                ("security/process-creation", "no_source", ""),
                ("security/process-command-line", "no_source", ""),
            },
        ),
        (
            {"channel": SECURITY, "event_id": 4688, "field": "CommandLine"},
            {("security/process-command-line", "missing_field", "CommandLine")},
        ),
        (
            {"channel": SECURITY},
            {
                ("security/other-object-access", "no_source", ""),
                ("security/process-creation", "no_source", ""),
                ("security/process-command-line", "no_source", ""),
            },
        ),
    ],
    ids=["a channel", "an event id", "a field", "all of Security"],
)
def test_what_is_taken_away_everywhere_is_a_gap_on_every_host(
    taken: dict[str, Any], expected: set[tuple[str, str, str]]
) -> None:
    everywhere = frozenset(estate(lab()))

    seen = see(lab(), without(**taken))

    assert seen.faults() == {(*fault, everywhere) for fault in expected}
    assert see(lab()).faults() == set()


@pytest.mark.parametrize(
    ("taken", "sources"),
    [
        ({"channel": SCHEDULER}, {"taskscheduler/operational"}),
        (
            {},
            {
                "taskscheduler/operational",
                "security/other-object-access",
                "security/process-creation",
                "security/process-command-line",
            },
        ),
    ],
    ids=["a channel of one host", "a host"],
)
def test_what_is_taken_from_one_host_is_a_gap_there(
    taken: dict[str, Any], sources: set[str]
) -> None:
    host = estate(lab())[3]

    seen = see(lab(), without(host=host, **taken))

    assert seen.faults() == {
        (source, "partial_population", "", frozenset({host})) for source in sources
    }
    assert seen.sight.power.value < 1 or taken


def test_an_hour_of_one_host_is_bridged_and_days_are_not() -> None:
    """A pause is no gap; three days at the end, while another channel goes on, are."""
    host = estate(lab())[0]
    times = sorted({str(time_of(json.loads(line)))[:13] for line in lab()})
    one_hour, last_days = {times[len(times) // 2]}, set(times[8:])

    def silent(hours: set[str], channel: str) -> Keep:
        return lambda e: (
            None
            if host_of(e) == host and channel_of(e) == channel and str(time_of(e))[:13] in hours
            else e
        )

    paused = see(lab(), silent(one_hour, SECURITY))
    stopped = see(lab(), silent(last_days, SECURITY))

    assert paused.faults() == set()
    assert {(g.gap_kind, g.hosts) for g in stopped.gaps} == {(GapKind.PARTIAL_POPULATION, (host,))}
    assert any("sent it until" in g.reason for g in stopped.gaps)
    assert live_hours(stopped, host) < live_hours(paused, host) == paused.sight.window.hours
    assert stopped.sight.power.value <= paused.sight.power.value == 1


def live_hours(seen: Seen, host: str) -> int:
    (found,) = (
        p for p in seen.sight.probes if (p.atom_id, p.host) == ("security/4688-child", host)
    )
    return found.hours.bit_count()


def time_of(event: Event) -> object:
    return event["Event"]["System"]["TimeCreated"]["#attributes"]["SystemTime"]


# ---------------------------------------------------------------- a real recording


@pytest.mark.parametrize(
    "taken",
    [
        {"event_id": 4688, "channel": SECURITY},
        {"event_id": 4698, "channel": SECURITY},
        {"channel": "Microsoft-Windows-Sysmon/Operational"},
        {"channel": SECURITY},
    ],
    ids=["4688", "4698", "Sysmon", "Security"],
)
def test_in_a_real_recording_only_what_was_taken_is_newly_missing(taken: dict[str, Any]) -> None:
    before, after = whole(recording()), see(recording(), without(**taken))
    concerned = {
        atom.id
        for atom in before.sight.model.atoms
        if atom.channel == taken["channel"]
        and ("event_id" not in taken or taken["event_id"] in {*atom.event_ids, *atom.siblings})
    }

    was = {(p.atom_id, p.host): p.live for p in before.sight.probes}
    lost = {
        (p.atom_id, p.host) for p in after.sight.probes if was[p.atom_id, p.host] and not p.live
    }

    assert {atom_id for atom_id, _ in lost} <= concerned
    assert not any(p.live and not was[p.atom_id, p.host] for p in after.sight.probes)
    assert after.sight.power.value <= before.sight.power.value
    primary = {a.id: a.source for a in before.sight.model.atoms if a.primary}
    newly = {(g.source, host) for g in after.gaps for host in g.hosts} - {
        (g.source, host) for g in before.gaps for host in g.hosts
    }
    told = {(g.source, host) for g in before.gaps for host in g.hosts}
    assert newly == {(primary[a], host) for a, host in lost if a in primary} - told
    assert see(recording()).faults() == before.faults()


def test_in_a_real_recording_a_host_that_falls_silent_is_the_only_one_newly_missed() -> None:
    before = whole(recording())
    live = {(p.host, p.atom_id) for p in before.sight.probes if p.live}
    host = min(name for name, _ in live)

    after = see(recording(), without(host=host))

    left = {(p.host, p.atom_id) for p in after.sight.probes if p.live}
    assert live - left == {one for one in live if one[0] == host}
    assert left <= live
    newly = {(g.source, name) for g in after.gaps for name in g.hosts} - {
        (g.source, name) for g in before.gaps for name in g.hosts
    }
    assert newly
    assert {name for _, name in newly} == {host}


def test_in_a_real_recording_a_field_that_is_emptied_is_a_gap_of_that_field() -> None:
    before = whole(recording())
    ids = {"channel": SECURITY, "event_id": 4688}
    had = frozenset(
        p.host
        for p in before.sight.probes
        if p.atom_id == "security/4688-commandline" and p.live and p.events
    )

    after = see(recording(), without(**ids, field="CommandLine"))

    new = after.faults() - before.faults()
    assert {(kind, name) for _, kind, name, _ in new} == {("missing_field", "CommandLine")}
    assert had
    assert had <= frozenset().union(*(hosts for *_, hosts in new))
    assert see(recording()).faults() == before.faults()
