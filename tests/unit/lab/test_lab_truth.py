import base64
import re
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest
from defusedxml import ElementTree

from huntonce.models.gap import GapKind
from huntonce.models.lab.company import (
    COMMAND_LINE,
    SCHEDULER_CHANNEL,
    SHOP_FLOOR,
    SYSMON,
    TASK_AUDITING,
    LabSpec,
)
from huntonce.models.lab.events import SECURITY, SYSMON_CHANNEL, TASK_CHANNEL, LabEvent
from huntonce.models.profile import matches_account
from tests.unit.lab.labs import Lab, field, make

TASK_EVENTS = {4698, 4699, 4700, 4701, 4702}
SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def content(event: LabEvent) -> str:
    return field(event, "TaskContentNew" if event.event_id == 4702 else "TaskContent")


def defined(event: LabEvent, name: str) -> str:
    return ElementTree.fromstring(content(event)).findtext(f".//{SPACE}{name}") or ""


def subject(event: LabEvent) -> str:
    return f"{field(event, 'SubjectDomainName')}\\{field(event, 'SubjectUserName')}"


def registrations(lab: Lab) -> list[LabEvent]:
    return [event for event in lab.events if event.event_id in {4698, 4702}]


def intrusion_events(lab: Lab, name: str) -> list[LabEvent]:
    (planted,) = (i for i in lab.truth.intrusions if i.name == name)
    keys = set(planted.events)
    return [event for event in lab.events if event.key in keys]


def test_every_malicious_event_of_the_truth_is_in_the_stream(lab: Lab) -> None:
    arrived = {event.key for event in lab.events}

    assert lab.truth.malicious
    assert lab.truth.malicious <= arrived
    assert lab.truth.malicious == {event.key for event in lab.events if event.mark}


def test_the_mark_of_an_intrusion_is_never_written(lab: Lab) -> None:
    marked = next(event for event in lab.events if event.mark)

    assert marked.mark not in str(marked.record())


def test_every_task_definition_parses_and_names_its_task(lab: Lab) -> None:
    events = [e for e in lab.events if e.event_id in {4698, 4700, 4701, 4702}]

    assert events
    for event in events:
        assert defined(event, "URI") == event.data["TaskName"]
        assert defined(event, "Command")
        assert defined(event, "UserId")


def test_a_deletion_has_empty_content_and_a_remote_registration_no_client(lab: Lab) -> None:
    deleted = [event for event in lab.events if event.event_id == 4699]
    deployed = [e for e in registrations(lab) if field(e, "TaskName").startswith("\\SWD\\")]

    assert all(event.data["TaskContent"] == "" for event in deleted)
    assert deployed
    assert all(event.data["ClientProcessId"] == 0 for event in deployed)


# ------------------------------------------------------------------------------------ gaps


def test_no_event_comes_from_a_source_that_is_off(lab: Lab) -> None:
    logs = {host.name: host.logs for host in lab.company.hosts}

    for event in lab.events:
        on = logs[event.host]
        assert event.event_id not in TASK_EVENTS or TASK_AUDITING in on
        assert event.channel != SYSMON_CHANNEL or SYSMON in on
        assert event.channel != TASK_CHANNEL
        if event.event_id == 4688:
            assert bool(event.data["CommandLine"]) == (COMMAND_LINE in on)


def test_hosts_of_the_shop_floor_send_their_other_security_events(lab: Lab) -> None:
    floor = {host.name for host in lab.company.group(SHOP_FLOOR)}

    assert floor <= {event.host for event in lab.events if event.event_id == 4688}
    assert floor == {h.name for h in lab.company.hosts if h.ip.startswith("10.20.8.")}


@pytest.mark.parametrize("days", [1, 14])
def test_where_tasks_are_audited_something_shows_it(lab: Lab, days: int) -> None:
    made = lab if days == 14 else make(LabSpec(hosts=24, days=days))
    audited = {h.name for h in made.company.hosts if TASK_AUDITING in h.logs}

    assert {e.host for e in made.events if e.event_id in TASK_EVENTS} == audited


def test_the_truth_about_gaps_names_exactly_the_blind_hosts(lab: Lab) -> None:
    gaps = {gap.atom_id: gap for gap in lab.truth.gaps}

    audited = {e.host for e in lab.events if e.event_id in TASK_EVENTS}
    everybody = {host.name for host in lab.company.hosts}
    assert set(gaps["security/4698"].hosts) == everybody - audited
    assert gaps["security/4688-commandline"].kind == "missing_field"
    assert gaps["taskscheduler/106"].kind == "no_source"
    assert {gap.kind for gap in lab.truth.gaps} <= set(GapKind)


def test_the_default_company_has_the_gaps_of_the_story() -> None:
    gaps = {g.atom_id: g for g in make(LabSpec(days=1)).truth.gaps}

    assert len(gaps["security/4698"].hosts) == 22
    assert len(gaps["security/4688-commandline"].hosts) == 37
    assert len(gaps["taskscheduler/106"].hosts) == 240
    assert 0.55 < len(gaps["sysmon/1-child"].hosts) / 240 < 0.65


def test_a_mended_source_logs_from_then_on() -> None:
    spec = LabSpec(hosts=24, days=3)
    noon = spec.start + timedelta(days=1, hours=12)
    mended = LabSpec(hosts=24, days=3, mended=(TASK_AUDITING, SCHEDULER_CHANNEL), mended_from=noon)

    made = make(mended)

    floor = {host.name for host in made.company.group(SHOP_FLOOR)}
    early = [e for e in made.events if e.event_id in TASK_EVENTS and e.host in floor]
    channel = [e for e in made.events if e.channel == TASK_CHANNEL]
    assert early
    assert channel
    assert min(e.time for e in [*early, *channel]) >= noon


def test_the_scheduler_channel_tells_of_registrations_and_runs_where_it_is_on() -> None:
    made = make(LabSpec(hosts=24, days=7, scheduler_channel=2))

    events = [event for event in made.events if event.channel == TASK_CHANNEL]
    assert len({event.host for event in events}) == 2
    assert {129, 140, 200, 201} <= {event.event_id for event in events}


# ------------------------------------------------------------------------------- intrusions


def test_the_same_system_task_lands_on_five_hosts_by_night(lab: Lab) -> None:
    events = intrusion_events(lab, "lateral-night")
    created = [event for event in events if event.event_id == 4698]
    profile = lab.company.profile()

    assert len({event.host for event in created}) == 5
    assert len({(field(e, "TaskName"), defined(e, "Arguments")) for e in created}) == 1
    times = [event.time for event in created]
    assert max(times) - min(times) <= timedelta(minutes=11)
    for event in created:
        assert profile.in_change_window(event.time) is False
        assert defined(event, "UserId") == "S-1-5-18"
        assert not matches_account(subject(event), profile.privileged_accounts)


def test_the_registrations_come_over_the_network_from_the_source(lab: Lab) -> None:
    events = intrusion_events(lab, "lateral-night")
    (planted,) = (i for i in lab.truth.intrusions if i.name == "lateral-night")
    source = lab.company.by_name[planted.hosts[0]]
    logons = {(e.host, e.data["TargetLogonId"]): e for e in events if e.event_id == 4624}

    for event in (e for e in events if e.event_id == 4698):
        logon = logons[event.host, event.data["SubjectLogonId"]]
        assert logon.data["LogonType"] == 3
        assert logon.data["IpAddress"] == source.ip
        assert logon.data["WorkstationName"] == source.name
        tools = [
            e
            for e in events
            if e.event_id == 4688
            and e.host == source.name
            and f"/s {event.host} " in field(e, "CommandLine")
        ]
        assert len(tools) == 1
        assert timedelta(0) < event.time - tools[0].time < timedelta(seconds=5)


def test_the_implant_runs_below_the_schedule_service(lab: Lab) -> None:
    runs = [
        e
        for e in intrusion_events(lab, "lateral-night")
        if e.channel == SYSMON_CHANNEL and e.event_id == 1 and "-enc" in field(e, "CommandLine")
    ]
    below = [e for e in runs if field(e, "ParentCommandLine").endswith("-s Schedule")]

    assert below
    found = re.search(r"-enc (\S+)", field(below[0], "CommandLine"))
    assert found is not None
    assert "\\Users\\Public\\" in base64.b64decode(found[1]).decode("utf-16-le")


def test_the_quiet_task_claims_another_author_and_runs_from_the_profile(lab: Lab) -> None:
    events = intrusion_events(lab, "quiet-user")
    (created,) = (e for e in events if e.event_id == 4698)

    assert len({event.host for event in events}) == 1
    assert defined(created, "Author") == "Microsoft Corporation"
    assert subject(created) == defined(created, "UserId")
    assert "\\AppData\\Roaming\\" in defined(created, "Arguments")
    assert [e for e in events if e.event_id == 4688 and "mshta" in field(e, "CommandLine")]


def test_a_known_task_is_turned_by_an_account_with_no_business_there(lab: Lab) -> None:
    (changed,) = (e for e in intrusion_events(lab, "turned-task") if e.event_id == 4702)
    before = [
        e
        for e in registrations(lab)
        if e.data["TaskName"] == changed.data["TaskName"] and e.key != changed.key
    ]
    profile = lab.company.profile()

    assert before
    assert not matches_account(subject(changed), profile.privileged_accounts)
    assert "\\Windows\\Temp\\" in defined(changed, "Arguments")
    after = [e for e in before if e.host == changed.host and e.time > changed.time]
    assert not after


# ----------------------------------------------------------------------------- benign life


def test_no_benign_registration_for_system_is_made_by_somebody_without_rights(lab: Lab) -> None:
    privileged = lab.company.profile().privileged_accounts

    for event in registrations(lab):
        if event.mark or defined(event, "UserId") != "S-1-5-18":
            continue
        own = event.data["SubjectUserSid"] in {"S-1-5-18", "S-1-5-20"}
        assert own or matches_account(subject(event), privileged)


def test_authors_differ_from_subjects_in_benign_life_too(lab: Lab) -> None:
    differing = {
        field(event, "TaskName").split("-", 1)[0]
        for event in registrations(lab)
        if not event.mark and defined(event, "Author") not in {"", subject(event)}
    }

    assert len(differing) >= 4


def test_deployments_reach_many_hosts_within_minutes_in_the_change_window() -> None:
    made = make(LabSpec(days=7))
    deployed = [e for e in registrations(made) if field(e, "TaskName").startswith("\\SWD\\")]
    profile = made.company.profile()

    waves: dict[str, list[LabEvent]] = {}
    for event in deployed:
        waves.setdefault(field(event, "TaskName"), []).append(event)
        assert profile.in_change_window(event.time)
        assert subject(event) in profile.task_authors
        assert subject(event) == defined(event, "Author")
    assert max(len(wave) for wave in waves.values()) >= 12


def test_the_traps_of_the_truth_are_found_in_the_telemetry() -> None:
    made = make(LabSpec())
    names = {field(event, "TaskName") for event in registrations(made) if not event.mark}

    for trap in made.truth.traps:
        assert any(fnmatchcase(name, trap.task_name) for name in names), trap.task_name


def test_a_lab_without_intrusions_marks_nothing() -> None:
    made = make(LabSpec(hosts=24, days=3, intrusions=False))

    assert not made.truth.intrusions
    assert not any(event.mark for event in made.events)
    assert {event.channel for event in made.events} == {SECURITY, SYSMON_CHANNEL}
