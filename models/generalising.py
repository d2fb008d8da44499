r"""Generalising: a Sigma rule from what the events of a finding share, where no template fits.

What an attacker changes freely (names, paths, addresses, arguments) never gets into a rule as it
was seen. What does: which event it is; who acted, as a class of account; which program of Windows
itself took part; and behaviours, each a general expression that every event of the finding meets.
A pattern that shares too little of that is not automated, and the reason says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from huntonce.models.behaviours import (
    BEHAVIOURS,
    EVENT_KINDS,
    WINDOWS_PROGRAMS,
    Behaviour,
    EventKind,
    Row,
)
from huntonce.models.finding import Finding
from huntonce.models.huntdef import DetectionTemplate
from huntonce.models.ids import digest

_PEOPLE = ("S-1-5-21-", "S-1-12-1-")
_ENOUGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalised:
    """What came of it: a template, or the reason why there is none; ``shared`` in words."""

    template: DetectionTemplate | None
    reason: str = ""
    shared: tuple[str, ...] = field(default=())


def kind_of(channel: str, event_id: int) -> EventKind | None:
    """The kind of an event; None where no rule can be made of it."""
    for kind in EVENT_KINDS:
        if kind.channel == channel.lower() and event_id in kind.event_ids:
            return kind
    return None


def kinds_of(finding: Finding) -> tuple[EventKind, ...]:
    """The kinds of a finding's core events, the one with most events first."""
    counts: dict[int, int] = {}
    kinds: dict[int, EventKind] = {}
    for ref in finding.core:
        kind = kind_of(ref.channel, ref.event_id)
        if kind is not None:
            kinds[id(kind)] = kind
            counts[id(kind)] = counts.get(id(kind), 0) + 1
    return tuple(kinds[number] for number in sorted(counts, key=lambda one: -counts[one]))


def generalise(kind: EventKind, rows: Sequence[Row], *, level: str = "medium") -> Generalised:
    """A rule from what the events (all of one kind) share."""
    if not rows:
        return Generalised(template=None, reason="its events are not held any more")
    selections: dict[str, dict[str, object]] = {}
    shown = list(_behaviours(kind, rows))
    for behaviour, name in shown:
        selections[f"selection_{behaviour.name}"] = behaviour.selection(name)
    programs = dict(_programs(kind, rows))
    for name, program in programs.items():
        key = "selection_parent" if name.startswith("Parent") else "selection_program"
        selections[key] = {f"{name}|endswith": f"\\{program}"}
    event: dict[str, object] = {}
    if kind.selects:
        ids = kind.event_ids
        event["EventID"] = ids[0] if len(ids) == 1 else list(ids)
    person = _by_people(kind, rows)
    if person:
        event[f"{kind.account}|startswith"] = list(_PEOPLE)
    said = [behaviour.title for behaviour, _ in shown]
    strong = any(behaviour.strong for behaviour, _ in shown)
    firm = len(programs) + person
    if not shown or not (len(shown) >= _ENOUGH + 1 or (strong and len(shown) + firm >= _ENOUGH)):
        what = f"only {' and '.join(said).lower()}" if said else "nothing"
        return Generalised(
            template=None,
            reason=(
                f"its {len(rows)} events ({kind.subject.lower()}) share {what} that an attacker"
                " could not change freely"
            ),
            shared=tuple(said),
        )
    detection: dict[str, object] = {"selection_event": event} if event else {}
    detection |= selections
    detection["condition"] = "all of selection_*" if len(detection) > 1 else next(iter(detection))
    return Generalised(
        template=_template(kind, detection, said, programs, level), shared=tuple(said)
    )


def _behaviours(kind: EventKind, rows: Sequence[Row]) -> Iterable[tuple[Behaviour, str]]:
    """Behaviours that every event shows, each with the field that shows it."""
    seen: set[str] = set()
    for behaviour in BEHAVIOURS:
        for name, sort in kind.texts.items():
            if behaviour.name in seen or sort not in behaviour.sorts:
                continue
            if all(behaviour.shown_by(row.get(name, "")) for row in rows):
                seen.add(behaviour.name)
                yield behaviour, name


def _programs(kind: EventKind, rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    for name in kind.programs:
        programs = {row.get(name, "").rpartition("\\")[2].lower() for row in rows}
        if len(programs) == 1 and programs <= WINDOWS_PROGRAMS:
            yield name, programs.pop()


def _by_people(kind: EventKind, rows: Sequence[Row]) -> bool:
    return bool(kind.account) and all(row.get(kind.account, "").startswith(_PEOPLE) for row in rows)


def _template(
    kind: EventKind,
    detection: Mapping[str, object],
    said: Sequence[str],
    programs: Mapping[str, str],
    level: str,
) -> DetectionTemplate:
    by = [f"By {program}" for name, program in programs.items() if name.startswith("Parent")]
    of = [f"Of {program}" for name, program in programs.items() if not name.startswith("Parent")]
    head = " ".join([kind.subject, *of, *by])
    title = f"{head} With {' And '.join(said[:3])}"
    parts = [text.lower().replace("system rights", "SYSTEM rights") for text in said]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    who = " by an account of a person" if kind.account else ""
    return DetectionTemplate(
        name=f"generalised-{digest(kind.logsource, detection)[:12]}",
        title=title,
        description=(
            f"Detects events of the kind '{kind.subject.lower()}'{who} that show {listed}. Derived"
            " from the events of a hunt: it keeps what they have in common and what the behaviour"
            " needs, and nothing of their names, paths or addresses."
        ),
        level=level,
        needs=(),
        logsource=kind.logsource,
        detection=detection,
        falsepositives=("Software management and administration scripts that do the same",),
    )
