"""From the events of every channel to one record a registration."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.analytics import context, taskruns, tasks
from huntonce.models.analytics.records import Record
from huntonce.models.analytics.tasktraces import task_of_trace
from tests.support.builders import T0, after, row, table

NAME = "\\Updater"


def created(name: str = NAME, **changes: Any) -> dict[str, Any]:
    """A row of Security 4698."""
    values: dict[str, Any] = {
        "TaskName": name,
        "TaskCommand": "cmd.exe",
        "TaskArguments": "/c x",
        "TaskUserId": "S-1-5-18",
        "SubjectUserName": "ann",
        "SubjectDomainName": "CORP",
        "SubjectLogonId": "0xABC",
        **changes,
    }
    return row(4698, **values)


def build(**tables: list[dict[str, Any]]) -> list[Record]:
    return tasks.build({name: table(*rows) for name, rows in tables.items()})


def roles(record: Record) -> list[str]:
    return [ref.role for ref in record.refs]


# ---------------------------------------------------------------- registrations


def test_a_registration_says_who_registered_what_to_run_as_whom() -> None:
    (record,) = build(registered=[created()])

    assert (record.entity, record.host, record.time) == (NAME, "PC1", T0)
    assert record.facts["action"] == "cmd.exe /c x"
    assert record.facts["registered_by"] == "CORP\\ann"
    assert record.facts["run_as"] == "S-1-5-18"
    assert record.facts["logon_id"] == "0xabc"
    assert record.facts["event"] == "created"
    assert roles(record) == ["registration"]


def test_an_update_is_told_from_a_creation() -> None:
    changed = {**created(), "event_id": 4702}

    (record,) = build(registered=[changed])

    assert record.facts["event"] == "updated"


def test_facts_that_are_not_known_are_absent() -> None:
    (record,) = build(registered=[row(4698, TaskName=NAME)])

    assert set(record.facts) == {"task", "event", "shown_by"}
    assert record.fact("action") == ""


def test_every_action_of_a_task_is_a_command_line_of_its_own() -> None:
    both = created(TaskCommand="C:\\good.exe\nmshta.exe", TaskArguments="\nC:\\Users\\a.hta")

    (record,) = build(registered=[both])

    assert record.facts["action"] == "C:\\good.exe\nmshta.exe C:\\Users\\a.hta"


def test_the_schedulers_own_event_joins_the_audit_event_of_the_same_moment() -> None:
    near = row(106, after(seconds=14), TaskName=NAME.upper(), UserContext="CORP\\ann")

    (record,) = build(registered=[created()], scheduler=[near])

    assert roles(record) == ["registration", "registration"]


@pytest.mark.parametrize(
    "other",
    [
        row(106, after(seconds=16), TaskName=NAME, UserContext="CORP\\ann"),
        row(106, T0, "PC2", TaskName=NAME, UserContext="CORP\\ann"),
        row(106, T0, TaskName="\\Other", UserContext="CORP\\ann"),
    ],
)
def test_what_is_later_elsewhere_or_about_another_task_is_a_record_of_its_own(
    other: dict[str, Any],
) -> None:
    records = build(registered=[created()], scheduler=[other])

    assert len(records) == 2
    assert records[-1].facts["registered_by"] == "CORP\\ann"


def test_the_scheduler_alone_makes_a_record() -> None:
    (record,) = build(scheduler=[row(140, TaskName=NAME, UserContext="CORP\\ann")])

    assert record.facts["event"] == "updated"
    assert record.facts["shown_by"] == "TaskScheduler"


def test_of_two_registrations_the_nearer_takes_the_trace() -> None:
    first, second = created(), {**created(), "time": after(seconds=10), "uid": "second"}

    records = build(
        registered=[first, second], scheduler=[row(106, after(seconds=8), TaskName=NAME)]
    )

    assert [len(r.refs) for r in records] == [1, 2]


@pytest.mark.parametrize(
    "trace",
    [
        row(11, TargetFilename="C:\\Windows\\System32\\Tasks\\Updater"),
        row(
            12,
            TargetObject=(
                "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Schedule"
                "\\TaskCache\\Tree\\Updater"
            ),
        ),
        row(13, TargetObject="HKLM\\SOFTWARE\\Schedule\\TaskCache\\Tree\\Updater\\Id"),
    ],
)
def test_file_and_registry_traces_join_their_task(trace: dict[str, Any]) -> None:
    (record,) = build(registered=[created()], traces=[trace])

    assert roles(record) == ["registration", "trace"]


def test_a_trace_in_a_subfolder_keeps_the_whole_name() -> None:
    path = "C:\\Windows\\System32\\Tasks\\Microsoft\\Windows\\X"

    assert task_of_trace(row(11, TargetFilename=path)) == "Microsoft\\Windows\\X"
    assert task_of_trace(row(11, TargetFilename="C:\\Temp\\x")) == ""


# ---------------------------------------------------------------- hidden tasks


TREE = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache\\Tree"


def value(leaf: str, kind: str, *, task: str = "Updater", **changes: Any) -> dict[str, Any]:
    """Sysmon 12 or 13 on a value below a task's key, an hour after the registration."""
    path = f"{TREE}\\{task}\\{leaf}"
    number = 13 if kind == "SetValue" else 12
    image = "C:\\Users\\ann\\tool.exe"
    return row(number, after(hours=1), TargetObject=path, EventType=kind, Image=image, **changes)


@pytest.mark.parametrize(
    ("trace", "how"),
    [
        (value("SD", "DeleteValue"), "tool.exe deleted its security descriptor"),
        (value("sd", "DeleteValue"), "tool.exe deleted its security descriptor"),
        (value("Index", "SetValue", Details="DWORD (0x00000000)"), "tool.exe set its index to 0"),
    ],
)
def test_a_task_that_is_taken_out_of_sight_says_how(trace: dict[str, Any], how: str) -> None:
    (record,) = build(registered=[created()], traces=[trace])

    assert record.facts["concealed"] == how
    assert roles(record) == ["registration", "trace"]


def test_hiding_a_task_whose_registration_nobody_saw_is_a_record_itself() -> None:
    (record,) = build(traces=[value("SD", "DeleteValue", task="Microsoft\\Windows\\X")])

    assert record.entity == "Microsoft\\Windows\\X"
    assert record.facts["event"] == "concealed"
    assert record.facts["shown_by"] == "Sysmon"


@pytest.mark.parametrize(
    "trace",
    [
        value("SD", "SetValue", Details="Binary Data"),
        value("SD", "DeleteKey"),
        value("Id", "DeleteValue"),
        value("Index", "SetValue", Details="DWORD (0x00000003)"),
    ],
)
def test_what_the_task_service_does_itself_hides_nothing(trace: dict[str, Any]) -> None:
    (record,) = build(registered=[created()], traces=[{**trace, "time": after(seconds=1)}])

    assert "concealed" not in record.facts


# ---------------------------------------------------------------- tools


LINE = 'schtasks /create /s PC1.corp.example /tn Updater /tr "cmd /c x" /ru SYSTEM'


def tool(line: str = LINE, host: str = "PC9", **changes: Any) -> dict[str, Any]:
    return row(1, changes.pop("time", T0), host, CommandLine=line, User="CORP\\ann", **changes)


def test_a_tool_on_another_host_joins_the_registration_and_names_both_hosts() -> None:
    (record,) = build(registered=[created()], tooling=[tool(time=after(minutes=-4))])

    assert record.host == "PC1"
    assert record.hosts == {"PC1", "PC9"}
    assert record.facts["remote_from"] == "PC9"
    assert record.facts["tool"] == LINE
    assert roles(record) == ["registration", "tool"]


def test_a_tool_on_the_same_host_is_not_remote() -> None:
    (record,) = build(
        registered=[created()], tooling=[tool("schtasks /create /tn Updater /tr x", "PC1")]
    )

    assert "remote_from" not in record.facts
    assert record.facts["action"] == "cmd.exe /c x"


def test_a_definition_that_could_not_be_read_is_filled_from_the_tool() -> None:
    bare = row(4698, TaskName=NAME, SubjectUserName="ann")

    (record,) = build(registered=[bare], tooling=[tool()])

    assert record.facts["command"] == "cmd"
    assert record.facts["arguments"] == "/c x"
    assert record.facts["run_as"] == "SYSTEM"


def test_a_tool_alone_makes_a_record_at_its_target() -> None:
    (record,) = build(tooling=[tool()])

    assert (record.host, record.entity) == ("PC1", "Updater")
    assert record.hosts == {"PC1", "PC9"}
    assert record.facts["event"] == "created"
    assert record.facts["registered_by"] == "CORP\\ann"


def test_a_tool_that_changes_a_task_is_no_creation() -> None:
    (record,) = build(tooling=[tool("schtasks /change /tn Updater /tr x")])

    assert record.facts["event"] == "updated"


def test_one_process_in_two_logs_is_one_record() -> None:
    twice = [tool(), {**tool(), "uid": "from 4688", "time": after(seconds=1)}]

    (record,) = build(tooling=twice)

    assert roles(record) == ["tool", "tool"]


def test_traces_join_a_record_that_only_a_tool_made() -> None:
    (record,) = build(
        tooling=[tool("schtasks /create /tn Updater /tr x", "PC1")],
        traces=[row(11, after(seconds=2), TargetFilename="C:\\Windows\\System32\\Tasks\\Updater")],
    )

    assert roles(record) == ["tool", "trace"]


def test_a_tool_hours_later_is_another_record() -> None:
    assert len(build(registered=[created()], tooling=[tool(time=after(minutes=6))])) == 2


def test_what_registers_nothing_makes_no_record() -> None:
    assert build(tooling=[tool("schtasks /query"), tool("")]) == []


# ---------------------------------------------------------------- deletions


@pytest.mark.parametrize(("seconds", "short"), [(0, True), (120, True), (121, False), (-1, False)])
def test_only_a_deletion_soon_after_the_creation_makes_a_short_life(
    seconds: int, *, short: bool
) -> None:
    gone = row(4699, after(seconds=seconds), TaskName=NAME)

    (record,) = build(registered=[created()], deleted=[gone])

    assert ("lived" in record.facts) is short
    assert ("deletion" in roles(record)) is short


def test_an_update_followed_by_a_deletion_is_no_short_life() -> None:
    changed = {**created(), "event_id": 4702}

    (record,) = build(registered=[changed], deleted=[row(4699, after(seconds=5), TaskName=NAME)])

    assert "lived" not in record.facts


# ---------------------------------------------------------------- logons and runs


def logon(**changes: Any) -> pa.Table:
    values: dict[str, Any] = {
        "TargetLogonId": "0xabc",
        "LogonType": "3",
        "IpAddress": "10.0.0.9",
        "WorkstationName": "PC9",
        **changes,
    }
    return table(row(4624, after(seconds=-5), **values))


def test_a_network_logon_says_where_the_registration_came_from() -> None:
    (record,) = build(registered=[created()])

    context.join_logons([record], logon(), {"10.0.0.9": "ADMIN1"})

    assert record.facts["remote_from"] == "ADMIN1"
    assert record.facts["remote_address"] == "10.0.0.9"
    assert record.hosts == {"PC1", "ADMIN1"}


def test_without_the_asset_list_the_logons_workstation_is_taken() -> None:
    (record,) = build(registered=[created()])

    context.join_logons([record], logon(), {})

    assert record.facts["remote_from"] == "PC9"


@pytest.mark.parametrize(
    "changes",
    [
        {"LogonType": "2"},
        {"TargetLogonId": "0xdef"},
        {"IpAddress": "127.0.0.1"},
        {"IpAddress": "-"},
        {"IpAddress": "10.0.0.9", "WorkstationName": "PC1"},
    ],
)
def test_other_logons_make_nothing_remote(changes: dict[str, str]) -> None:
    (record,) = build(registered=[created()])

    context.join_logons([record], logon(**changes), {})

    assert "remote_from" not in record.facts


def test_logons_are_asked_for_only_by_ids_that_are_ids() -> None:
    records = build(
        registered=[
            created(SubjectLogonId=value) for value in ("0xABC", "0x3e7", "*", "0x?", "' OR 1=1")
        ]
    )

    search = context.logon_search(records)

    assert search is not None
    assert search.detection["selection"] == {"EventID": 4624, "TargetLogonId": ["0xabc"]}
    assert context.logon_search(build(registered=[created(SubjectLogonId="0x3e7")])) is None


def runs(*moments: timedelta) -> pa.Table:
    return table(*(row(200, T0 + m, TaskName=NAME) for m in moments))


EMPTY = table(row(200))[:0]


def test_runs_within_a_day_are_counted_and_only_so_many_kept() -> None:
    (record,) = build(registered=[created()])
    minutes = [timedelta(minutes=m) for m in range(30)]

    taskruns.join_execution(
        [record], runs(timedelta(hours=-1), *minutes, timedelta(hours=25)), EMPTY
    )

    assert record.facts["runs"] == "30"
    assert roles(record).count("run") == taskruns.MAX_RUNS


def test_a_child_of_the_task_service_is_a_run_where_its_arguments_agree() -> None:
    (record,) = build(registered=[created()])
    children = table(
        row(
            1, after(minutes=1), Image="C:\\Windows\\System32\\cmd.exe", CommandLine="cmd.exe /C x"
        ),
        row(
            1, after(minutes=2), Image="C:\\Windows\\System32\\cmd.exe", CommandLine="cmd.exe /c y"
        ),
        row(1, after(minutes=3), "PC2", Image="C:\\Windows\\cmd.exe", CommandLine="cmd.exe /c x"),
    )

    taskruns.join_execution([record], EMPTY, children)

    assert record.facts["runs"] == "1"


def test_names_that_sigma_would_read_as_patterns_are_not_searched_for() -> None:
    records = build(
        registered=[
            created(TaskCommand="C:\\x\\payload"),
            created("\\*", TaskCommand='"C:\\a b\\tool.exe"'),
            created("\\b", TaskCommand="*.exe"),
        ]
    )

    by_name = {s.name: s.detection["selection"] for s in taskruns.execution_searches(records)}

    assert by_name["runs by the task service"] == {
        "EventID": [100, 129, 200, 201],
        "TaskName": [NAME, "\\b"],
    }
    children = by_name["children of the task service"]
    assert isinstance(children, dict)
    assert children["Image|endswith"] == ["\\payload.exe", "\\tool.exe"]


# ---------------------------------------------------------------- any events


EVENT = st.builds(
    lambda event_id, seconds, host, name: row(
        event_id,
        after(seconds=seconds),
        host,
        TaskName=name,
        TaskCommand="x",
        CommandLine=f"schtasks /create /tn {name} /tr x",
        TargetFilename=f"C:\\Windows\\System32\\Tasks\\{name}",
    ),
    st.sampled_from([4698, 4702, 4699, 106, 140, 1, 11]),
    st.integers(0, 600),
    st.sampled_from(["PC1", "PC2"]),
    st.sampled_from(["a", "b", ""]),
)
PLACES = {
    4698: "registered",
    4702: "registered",
    4699: "deleted",
    106: "scheduler",
    140: "scheduler",
    1: "tooling",
    11: "traces",
}


@given(st.lists(EVENT, max_size=15, unique_by=lambda event: event["uid"]))
def test_every_registration_is_in_exactly_one_record(events: list[dict[str, Any]]) -> None:
    by_table: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_table.setdefault(PLACES[event["event_id"]], []).append(event)

    records = build(**by_table)

    held = [ref.uid for record in records for ref in record.refs if ref.event_id != 4699]
    wanted = {e["uid"] for e in events if e["event_id"] in {4698, 4702, 106, 140}}
    assert len(held) == len(set(held))
    assert wanted <= set(held)
    assert [r.time for r in records] == sorted(r.time for r in records)


def test_the_events_of_one_run_are_one_run() -> None:
    (record,) = build(registered=[created()])
    one = table(*(row(n, after(seconds=90), TaskName=NAME) for n in (100, 129, 200, 201)))

    taskruns.join_execution([record], one, EMPTY)

    assert record.facts["runs"] == "1"
    assert record.facts["ran_after"] == "90 s"
    assert "ran_at_once" not in record.facts
    assert roles(record).count("run") == 4


@pytest.mark.parametrize(
    ("event", "seconds", "at_once"), [(4698, 60, True), (4698, 61, False), (4702, 5, False)]
)
def test_only_a_new_task_can_run_at_once(event: int, seconds: int, *, at_once: bool) -> None:
    (record,) = build(registered=[{**created(), "event_id": event}])

    taskruns.join_execution([record], runs(timedelta(seconds=seconds)), EMPTY)

    assert ("ran_at_once" in record.facts) is at_once


def test_a_run_tells_what_a_definition_that_nobody_logged_would_have_told() -> None:
    (record,) = build(scheduler=[row(106, TaskName=NAME, UserContext="CORP\\ann")])
    seen = table(
        row(100, after(minutes=5), TaskName=NAME, UserContext="NT AUTHORITY\\SYSTEM"),
        row(200, after(minutes=5), TaskName=NAME, ActionName="C:\\Users\\Public\\x.exe"),
    )

    taskruns.join_execution([record], seen, EMPTY)

    assert record.facts["ran_as"] == "NT AUTHORITY\\SYSTEM"
    assert record.facts["action"] == record.facts["command"] == "C:\\Users\\Public\\x.exe"


def test_a_definition_that_was_read_is_not_overwritten_by_a_run() -> None:
    (record,) = build(registered=[created()])

    taskruns.join_execution(
        [record], table(row(200, TaskName=NAME, ActionName="C:\\other.exe")), EMPTY
    )

    assert record.facts["action"] == "cmd.exe /c x"


@pytest.mark.parametrize(
    ("values", "account"),
    [
        ({"User": "PC1$", "TargetUserName": "-"}, "NT AUTHORITY\\SYSTEM"),
        ({"User": "PC1$", "TargetUserName": "ann"}, "ann"),
        ({"User": "PC1$"}, ""),  # an older event, which names only who started it
    ],
)
def test_the_audit_event_of_a_process_names_its_account_where_it_knows_it(
    values: dict[str, str], account: str
) -> None:
    (record,) = build(registered=[created()])
    child = row(4688, after(seconds=3), Image="C:\\cmd.exe", CommandLine="cmd.exe /c x", **values)

    taskruns.join_execution([record], EMPTY, table(child))

    assert record.fact("ran_as") == account
    assert record.facts["runs"] == "1"


@pytest.mark.parametrize(
    ("line", "ran"),
    [
        ("C:\\Windows\\svchost.exe -k netsvcs -p -s Schedule", True),
        ("C:\\Windows\\svchost.exe -k netsvcs", True),  # before services had hosts of their own
        ("C:\\Windows\\svchost.exe -k netsvcs -p -s Appinfo", False),
    ],
)
def test_children_of_another_service_are_no_runs(line: str, *, ran: bool) -> None:
    (record,) = build(registered=[created()])
    child = row(1, Image="C:\\cmd.exe", CommandLine="cmd.exe /c x", ParentCommandLine=line)

    taskruns.join_execution([record], EMPTY, table(child))

    assert ("runs" in record.facts) is ran


def test_of_two_sessions_with_one_id_the_one_before_counts() -> None:
    (record,) = build(registered=[created()])
    old, later = logon().to_pylist()[0], logon(IpAddress="10.0.0.8").to_pylist()[0]

    context.join_logons(
        [record], table({**later, "time": after(hours=1)}, {**old, "time": after(hours=-1)}), {}
    )

    assert record.facts["remote_address"] == "10.0.0.9"


def test_a_session_without_a_named_origin_is_over_the_network_all_the_same() -> None:
    """Kerberos logons name no workstation."""
    (record,) = build(registered=[created()])

    context.join_logons([record], logon(WorkstationName="-"), {})

    assert record.facts["session_type"] == "3"
    assert record.facts["remote_address"] == "10.0.0.9"
    assert "remote_from" not in record.facts


def test_a_tools_session_is_not_looked_up_at_its_target() -> None:
    (record,) = build(tooling=[{**tool(), "LogonId": "0xABC"}])

    context.join_logons([record], logon(), {})

    assert "session_type" not in record.facts
