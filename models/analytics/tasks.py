"""Scheduled tasks: from the events of every channel to one record a registration.

A registration leaves traces in up to five places (Security 4698/4702, TaskScheduler 106/140,
Sysmon 11 and 12/13, and the command line of the tool). They are joined on host, task name and
time, so that a person judges one task and sees all of its evidence.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from huntonce.models.analytics.accounts import joined
from huntonce.models.analytics.commandline import redacted, registered_task, split_action
from huntonce.models.analytics.records import Record, Row, host_of, ref_of, rows, text_of, time_of
from huntonce.models.analytics.tasktraces import concealing, task_of_trace

FACTS = frozenset(
    {
        "task", "event", "command", "arguments", "action", "author", "run_as", "run_level",
        "hidden", "triggers", "registered_by", "registrar_sid", "logon_id", "locality",
        "definition", "shown_by", "tool", "runs", "ran_after", "ran_at_once", "ran_as", "lived",
        "concealed", "logon_kind",
    }
)  # fmt: skip
"""Facts that a record of a task may have."""
SAME_MOMENT = timedelta(seconds=15)
"""Traces of one registration are written within seconds of each other."""
TOOL_LEAD = timedelta(minutes=5)
"""A remote registration by command line, with clocks that are a little apart."""
SHORT_LIFE = timedelta(minutes=2)
"""Tools that run one command through a task delete it within seconds."""


def build(tables: Mapping[str, pa.Table]) -> list[Record]:
    """Records of task registrations from the searches' tables, oldest first.

    Tables by name: ``registered`` (4698, 4702), ``scheduler`` (106, 140), ``tooling`` (process
    creations), ``deleted`` (4699), ``traces`` (Sysmon 11-13). Absent tables are empty.
    """
    records = [_from_security(row) for row in _rows(tables, "registered")]
    index = _by_task(records)
    _join_scheduler(_rows(tables, "scheduler"), records, index)
    _join_tooling(_rows(tables, "tooling"), records, index)
    for row in _rows(tables, "traces"):
        if (how := concealing(row)) != "":
            _conceal(row, how, records, index)
            continue
        record = _nearest(index, host_of(row), task_of_trace(row), time_of(row), SAME_MOMENT)
        if record is not None:
            record.refs.append(ref_of(row, "trace"))
    for row in _rows(tables, "deleted"):
        _mark_deleted(row, index)
    records.sort(key=lambda record: (record.time, record.host, record.entity))
    return records


def _rows(tables: Mapping[str, pa.Table], name: str) -> list[Row]:
    return rows(tables.get(name))


def task_key(name: str) -> str:
    """A task name for comparison: rooted, lower case."""
    return "\\" + name.strip().strip("\\").casefold()


def _facts(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _from_security(row: Row) -> Record:
    name = text_of(row, "TaskName", "TaskUri")
    command = text_of(row, "TaskCommand")
    arguments = text_of(row, "TaskArguments")
    facts = _facts(
        task=name,
        event="updated" if row["event_id"] == 4702 else "created",  # noqa: PLR2004
        command=command,
        arguments=arguments,
        action=_joined(command, arguments),
        author=text_of(row, "TaskAuthor"),
        run_as=text_of(row, "TaskUserId"),
        run_level=text_of(row, "TaskRunLevel"),
        logon_kind=text_of(row, "TaskLogonType"),
        hidden=text_of(row, "TaskHidden").casefold(),
        triggers=text_of(row, "TaskTriggers"),
        registered_by=joined(text_of(row, "SubjectDomainName"), text_of(row, "SubjectUserName")),
        registrar_sid=text_of(row, "SubjectUserSid"),
        logon_id=text_of(row, "SubjectLogonId").casefold(),
        locality=text_of(row, "RpcCallClientLocality"),
        definition="read" if command or text_of(row, "TaskTriggers", "TaskUri") else "",
        shown_by="Security",
    )
    return _record(row, name, facts)


def _joined(commands: str, arguments: str) -> str:
    """Command lines of a task's actions, one a line."""
    pairs = actions(commands, arguments)
    return "\n".join(f"{command} {rest}".strip() for command, rest in pairs).strip()


def actions(commands: str, arguments: str) -> list[tuple[str, str]]:
    """Command and arguments of each action; both are texts with a line an action."""
    left, right = commands.split("\n"), arguments.split("\n")
    if len(left) != len(right):  # a line break within: what belongs together is not known
        return [(command, arguments) for command in left]
    return list(zip(left, right, strict=True))


def _record(
    row: Row, name: str, facts: dict[str, str], host: str = "", role: str = "registration"
) -> Record:
    own = host_of(row)
    return Record(
        entity=name or "(unnamed task)",
        host=host or own,
        time=time_of(row),
        facts=facts,
        refs=[ref_of(row, role)],
        hosts={own, host} - {""},
    )


Index = dict[tuple[str, str], list[Record]]


def _by_task(records: Iterable[Record]) -> Index:
    index: Index = {}
    for record in records:
        index.setdefault((record.host, task_key(record.entity)), []).append(record)
    return index


def _nearest(
    index: Index, host: str, name: str, time: datetime, within: timedelta
) -> Record | None:
    near = [
        record
        for record in index.get((host, task_key(name)), ())
        if abs(record.time - time) <= within
    ]
    return min(near, key=lambda record: abs(record.time - time), default=None)


def _join_scheduler(rows: Sequence[Row], records: list[Record], index: Index) -> None:
    for row in rows:
        name = text_of(row, "TaskName")
        record = _nearest(index, host_of(row), name, time_of(row), SAME_MOMENT)
        if record is not None:
            record.refs.append(ref_of(row, "registration"))
            continue
        facts = _facts(
            task=name,
            event="updated" if row["event_id"] == 140 else "created",  # noqa: PLR2004
            registered_by=text_of(row, "UserContext", "UserName"),
            shown_by="TaskScheduler",
        )
        record = _record(row, name, facts)
        records.append(record)
        index.setdefault((record.host, task_key(name)), []).append(record)


def _join_tooling(rows: Sequence[Row], records: list[Record], index: Index) -> None:
    for row in rows:
        line = text_of(row, "CommandLine")
        found = registered_task(line)
        if found is None:
            continue
        target = _short(found.get("target", ""))
        host = target or host_of(row)
        name = found.get("task", "")
        record = _nearest(index, host, name, time_of(row), TOOL_LEAD)
        if record is not None:
            _add_tool(record, row, found, line)
            continue
        record = _from_tool(row, found, host, line)
        records.append(record)
        index.setdefault((host, task_key(name)), []).append(record)


def _short(host: str) -> str:
    name = host.strip().strip("\\")
    if not name or name in {".", "localhost", "127.0.0.1"}:
        return ""
    return name if name.replace(".", "").isdigit() else name.split(".", 1)[0].upper()


def _add_tool(record: Record, row: Row, found: Mapping[str, str], line: str) -> None:
    record.refs.append(ref_of(row, "tool"))
    record.hosts.add(host_of(row))
    record.facts.setdefault("tool", redacted(line))
    if host_of(row) != record.host:
        record.facts["remote_from"] = host_of(row)
    if "definition" not in record.facts and found.get("action"):
        program, arguments = split_action(found["action"])
        record.facts.setdefault("command", program)
        record.facts.setdefault("arguments", arguments)
        record.facts.setdefault("action", found["action"])
    if found.get("run_as"):
        record.facts.setdefault("run_as", found["run_as"])


def _from_tool(row: Row, found: Mapping[str, str], host: str, line: str) -> Record:
    program, arguments = split_action(found.get("action", ""))
    facts = _facts(
        task=found.get("task", ""),
        event=found.get("event", ""),
        command=program,
        arguments=arguments,
        action=found.get("action", ""),
        run_as=found.get("run_as", ""),
        triggers=found.get("trigger", ""),
        registered_by=text_of(row, "User"),
        # A session of the host that the tool ran on: at the target the number is another's.
        logon_id=text_of(row, "LogonId").casefold() if host == host_of(row) else "",
        tool=redacted(line),
        remote_from=host_of(row) if host != host_of(row) else "",
        shown_by="process creation",
    )
    return _record(row, found.get("task", ""), facts, host, "tool")


def _conceal(row: Row, how: str, records: list[Record], index: Index) -> None:
    """Mark the newest registration before; where none was seen, the hiding is a record itself."""
    name, host = task_of_trace(row), host_of(row)
    before = [r for r in index.get((host, task_key(name)), ()) if r.time <= time_of(row)]
    if before:
        record = max(before, key=lambda found: found.time)
        record.facts["concealed"] = how
        record.refs.append(ref_of(row, "trace"))
        return
    made = _record(
        row, name, _facts(task=name, event="concealed", concealed=how, shown_by="Sysmon")
    )
    records.append(made)
    index.setdefault((host, task_key(name)), []).append(made)


def _mark_deleted(row: Row, index: Index) -> None:
    for record in index.get((host_of(row), task_key(text_of(row, "TaskName"))), ()):
        life = time_of(row) - record.time
        if timedelta(0) <= life <= SHORT_LIFE and record.fact("event") == "created":
            record.refs.append(ref_of(row, "deletion"))
            record.facts["lived"] = f"{life.total_seconds():.0f} s"
