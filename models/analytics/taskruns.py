"""Runs of scheduled tasks: what the Schedule service started, when, and as whom.

A run leaves up to five events: 100 (instance started), 129 (process created), 200 and 201 (action
started and completed) of TaskScheduler/Operational, and the creation of the process as a child of
the service's host. They tell what a definition that nobody logged would have told.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

import pyarrow as pa

from huntonce.models.analytics import forms
from huntonce.models.analytics.records import Record, Row, host_of, ref_of, text_of, time_of
from huntonce.models.analytics.tasks import actions, task_key
from huntonce.models.query import SigmaSearch

RUNS, CHILDREN = "runs by the task service", "children of the task service"
RUN_AFTER = timedelta(days=1)
AT_ONCE = timedelta(minutes=1)
"""Tools that run one command through a task start it as soon as it is registered."""
MAX_RUNS = 20
"""Most events of runs that a record points at."""
SYSTEM = "NT AUTHORITY\\SYSTEM"

_SERVICE = re.compile(r"\s-s\s+\"?([\w.-]+)", re.IGNORECASE)


def execution_searches(records: Sequence[Record], limit: int = 200) -> tuple[SigmaSearch, ...]:
    """Runs of the tasks that stand out: action events, and children of the task service."""
    names = sorted({name for r in records if (name := _literal(r.fact("task")))})[:limit]
    programs = sorted({program for r in records for program, _ in _programs(r)})[:limit]
    searches: list[SigmaSearch] = []
    if names:
        searches.append(
            SigmaSearch(
                name=RUNS,
                logsource={"product": "windows", "service": "taskscheduler"},
                detection={
                    "selection": {"EventID": [100, 129, 200, 201], "TaskName": names},
                    "condition": "selection",
                },
                fields=("TaskName", "ActionName", "Path", "UserContext"),
            )
        )
    if programs:
        searches.append(
            SigmaSearch(
                name=CHILDREN,
                logsource={"product": "windows", "category": "process_creation"},
                detection={
                    "selection": {
                        "ParentImage|endswith": [
                            "\\svchost.exe",
                            "\\taskhostw.exe",
                            "\\taskeng.exe",
                        ],
                        "Image|endswith": [f"\\{program}" for program in programs],
                    },
                    "condition": "selection",
                },
                fields=(
                    "Image", "CommandLine", "ParentImage", "ParentCommandLine", "User",
                    "TargetUserName",
                ),
            )
        )  # fmt: skip
    return tuple(searches)


def _literal(name: str) -> str:
    """A name that Sigma reads as it stands; "" for one with wildcards, which no task can have."""
    return "" if any(mark in name for mark in "*?") else name


def _programs(record: Record) -> list[tuple[str, str]]:
    """File name of the program of each action, with its arguments."""
    pairs = actions(record.fact("command"), record.fact("arguments"))
    named = ((_program(command), arguments) for command, arguments in pairs)
    return [(program, arguments) for program, arguments in named if program]


def _program(command: str) -> str:
    name = command.strip().strip('"').replace("/", "\\").rsplit("\\", 1)[-1]
    if not _literal(name) or any(mark in name for mark in '"<>|'):
        return ""
    return name if "." in name else f"{name}.exe"


def join_execution(records: Sequence[Record], runs: pa.Table, children: pa.Table) -> None:
    """Add the runs of each record's task on its host within a day of the registration.

    Facts: ``runs`` (how often), ``ran_after`` (the first one), ``ran_at_once`` (the same, where a
    new task ran within a minute), ``ran_as`` (the account, where an event names it), and the
    command, where nothing else told it.
    """
    by_task = _group(runs, lambda row: task_key(text_of(row, "TaskName")))
    by_program = _group(children, lambda row: text_of(row, "Image").rsplit("\\", 1)[-1].casefold())
    for record in records:
        found = list(by_task.get((record.host, task_key(record.entity)), ()))
        for program, told in _programs(record):
            arguments = told.strip().casefold()
            for row in by_program.get((record.host, program.casefold()), ()):
                line = text_of(row, "CommandLine").casefold()
                # Without a command line the program and its parent are all there is to go by.
                if _of_schedule(row) and (not line or not arguments or arguments in line):
                    found.append(row)
        _ran(record, [row for row in found if timedelta(0) <= _since(record, row) <= RUN_AFTER])


def _since(record: Record, row: Row) -> timedelta:
    return time_of(row) - record.time


def _of_schedule(row: Row) -> bool:
    """Whether the parent can be the Schedule service: not where it hosts another one by name."""
    service = _SERVICE.search(text_of(row, "ParentCommandLine"))
    return service is None or service[1].casefold() == "schedule"


def _ran(record: Record, found: list[Row]) -> None:
    if not found:
        return
    found.sort(key=time_of)
    # One run is an event in each of several logs: the log that saw most of them counts.
    kinds = Counter((str(row["channel"]), str(row["event_id"])) for row in found)
    record.facts["runs"] = str(max(kinds.values()))
    first = _since(record, found[0])
    record.facts["ran_after"] = _span(first)
    if first <= AT_ONCE and record.fact("event") == "created":
        record.facts["ran_at_once"] = record.facts["ran_after"]
    account = next((name for row in found if (name := _account(row))), "")
    if account:
        record.facts["ran_as"] = account
    program = next((name for row in found if (name := text_of(row, "ActionName", "Path"))), "")
    if program and not record.fact("action"):
        record.facts.setdefault("command", program)
        record.facts["action"] = program
    record.refs.extend(ref_of(row, "run") for row in found[:MAX_RUNS])


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _account(row: Row) -> str:
    """Whom an event of a run names as the account that it ran as."""
    if row["event_id"] != 4688:  # noqa: PLR2004
        return forms.account(text_of(row, "UserContext", "User"))
    # Its subject is who started the process: the new one is named only where it is another.
    target = text_of(row, "TargetUserName").strip()
    if target != "-":
        return target
    starter = text_of(row, "User")
    return SYSTEM if starter.endswith("$") else starter


def _group(table: pa.Table, key: Callable[[Row], str]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in table.to_pylist():
        groups.setdefault((host_of(row), key(row)), []).append(row)
    return groups
