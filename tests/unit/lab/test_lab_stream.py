import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.models.errors import DomainError
from huntonce.models.lab.company import SHARES, LabSpec, build_company
from huntonce.models.lab.events import SECURITY, SYSMON_CHANNEL, LabEvent
from huntonce.models.lab.generate import host_days
from tests.unit.lab.labs import Lab, make

WELL_KNOWN = {"0x3e7", "0x3e4", "0x3e5", "0x0"}
TINY = LabSpec(hosts=20, days=2)


def by_host(events: Iterable[LabEvent]) -> dict[str, list[LabEvent]]:
    hosts: dict[str, list[LabEvent]] = defaultdict(list)
    for event in events:
        hosts[event.host].append(event)
    return hosts


def files_of(spec: LabSpec, folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in write_lab(build_company(spec), folder).paths]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first = files_of(TINY, tmp_path / "a")
    again = files_of(TINY, tmp_path / "b")
    other = files_of(replace(TINY, seed=8), tmp_path / "c")

    assert first == again
    assert first != other


def test_files_hold_one_day_each_in_the_shape_of_evtx_rs(tmp_path: Path) -> None:
    written = write_lab(build_company(TINY), tmp_path)

    records = [orjson.loads(line) for path in written.paths for line in path.open("rb")]
    assert [path.name for path in written.paths] == ["2026-11-14.jsonl", "2026-11-15.jsonl"]
    assert len(records) == written.events
    assert sum(path.stat().st_size for path in written.paths) == written.bytes
    system = records[0]["Event"]["System"]
    assert system["TimeCreated"]["#attributes"]["SystemTime"].startswith("2026-11-14T")
    assert {"EventID", "EventRecordID", "Channel", "Computer", "Provider"} <= set(system)


def test_the_asset_list_names_every_host_with_an_address_of_its_own(tmp_path: Path) -> None:
    written = write_lab(build_company(TINY), tmp_path)

    rows = list(csv.DictReader(written.assets_csv.open(encoding="utf-8")))
    assert list(rows[0]) == ["host", "ip", "role", "platform"]
    assert len({row["host"] for row in rows}) == len({row["ip"] for row in rows}) == TINY.hosts


def test_large_companies_still_have_distinct_names_addresses_and_people() -> None:
    company = build_company(LabSpec(hosts=6_000))

    for values in (
        [host.name for host in company.hosts],
        [host.ip for host in company.hosts],
        [account.sid for account in company.accounts.values()],
    ):
        assert len(set(values)) == len(values)
    assert all(0 <= int(part) < 256 for host in company.hosts for part in host.ip.split("."))


@pytest.mark.parametrize("hosts", [20, 33, 240, 1_000])
def test_every_group_has_hosts_and_they_add_up(hosts: int) -> None:
    company = build_company(LabSpec(hosts=hosts))

    assert len(company.hosts) == hosts
    assert all(company.group(name) for name in SHARES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": 3},
        {"days": 0},
        {"noise": 0.0},
        {"sysmon_share": 1.5},
        {"mended": ("no-such-source",)},
        {"end": datetime(2026, 11, 16, 5, tzinfo=UTC)},
        {"end": datetime(2026, 11, 16)},  # noqa: DTZ001 - the point of it
        {"end": datetime(2019, 11, 16, tzinfo=UTC)},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DomainError):
        LabSpec(**wrong)  # type: ignore[arg-type]


def check_order(events: list[LabEvent]) -> None:
    for sequence in by_host(events).values():
        assert all(a.at <= b.at for a, b in pairwise(sequence))
        last: dict[str, int] = {}
        for event in sequence:
            assert event.record_id > last.get(event.channel, 0)
            last[event.channel] = event.record_id


def check_sessions(events: list[LabEvent]) -> None:
    for sequence in by_host(events).values():
        opened = set(WELL_KNOWN)
        for event in sequence:
            for name in ("SubjectLogonId", "LogonId"):
                assert event.data.get(name, "0x0") in opened, event
            if event.event_id in {4634, 4688}:
                assert event.data["TargetLogonId"] in opened, event
            if event.event_id == 4624:
                opened.add(str(event.data["TargetLogonId"]))


def check_parents(events: list[LabEvent]) -> None:
    for sequence in by_host(events).values():
        image: dict[object, object] = {}
        guids: dict[object, object] = {}
        for event in sequence:
            data = event.data
            if event.event_id == 4688:
                parent = data["ProcessId"]
                assert image.get(parent, data["ParentProcessName"]) == data["ParentProcessName"]
                image[data["NewProcessId"]] = data["NewProcessName"]
            elif event.channel == SYSMON_CHANNEL and event.event_id == 1:
                assert data["ProcessGuid"] not in guids
                known = guids.get(data["ParentProcessGuid"], data["ParentImage"])
                assert known == data["ParentImage"]
                guids[data["ProcessGuid"]] = data["Image"]


def test_record_ids_grow_with_time_on_each_host_and_channel(lab: Lab) -> None:
    check_order(lab.events)


def test_every_logon_id_was_opened_before_on_that_host(lab: Lab) -> None:
    check_sessions(lab.events)


def test_parents_are_the_processes_that_had_that_id(lab: Lab) -> None:
    check_parents(lab.events)


def test_events_lie_in_the_window_and_in_the_stream_of_their_day(lab: Lab) -> None:
    spec = lab.company.spec

    assert min(event.time for event in lab.events) >= spec.start
    assert max(event.time for event in lab.events) < spec.end
    assert len({event.key for event in lab.events}) == len(lab.events)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    hosts=st.integers(20, 36),
    days=st.integers(1, 4),
    noise=st.floats(0.2, 2.0),
    end=st.dates(datetime(2024, 1, 1).date(), datetime(2028, 1, 1).date()),  # noqa: DTZ001
)
def test_any_lab_is_consistent(
    seed: int, hosts: int, days: int, noise: float, end: datetime
) -> None:
    moment = datetime(end.year, end.month, end.day, tzinfo=UTC)
    spec = LabSpec(seed=seed, hosts=hosts, days=days, noise=noise, end=moment)

    made = make(spec)

    check_order(made.events)
    check_sessions(made.events)
    check_parents(made.events)
    assert made.truth.malicious <= {event.key for event in made.events}
    assert {i.name for i in made.truth.intrusions} == {
        "lateral-night",
        "quiet-user",
        "turned-task",
    }


def test_some_hosts_alone_are_the_same_as_in_the_whole(lab: Lab) -> None:
    names = {lab.company.hosts[0].name, lab.company.hosts[-1].name}

    alone = [e for _, events in host_days(lab.company, names) for e in events]

    assert alone == [event for event in lab.events if event.host in names]


def test_the_following_days_go_on_without_intruders(lab: Lab) -> None:
    later = make(lab.company.spec.following(days=2))

    last: dict[tuple[str, str], int] = defaultdict(int)
    for event in lab.events:
        place = (event.host, event.channel)
        last[place] = max(last[place], event.record_id)
    assert later.company.hosts == lab.company.hosts
    assert not later.truth.intrusions
    assert later.events
    assert all(event.record_id > last[event.host, event.channel] for event in later.events)


def test_nights_and_weekends_are_quiet_but_servers_are_heard_of_every_hour(lab: Lab) -> None:
    servers = {host.name for host in lab.company.hosts if host.is_server}
    desks = [e.time for e in lab.events if e.host not in servers and e.channel == SECURITY]
    weekend = sum(time.weekday() > 4 for time in desks)

    hours = {(e.host, e.time.replace(minute=0, second=0, microsecond=0)) for e in lab.events}
    assert len({hour for hour in hours if hour[0] in servers}) == len(servers) * 14 * 24
    assert weekend < 0.15 * len(desks)
