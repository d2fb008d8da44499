"""Guard: run what was promoted over what is new, see drift, and retire what is no longer needed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from typing_extensions import override

from huntonce.models.alert import alerts_of
from huntonce.models.detection import ON_DUTY, Detection, DetectionState
from huntonce.models.errors import DomainError, TerminalError
from huntonce.models.guarding import GuardRule, Now, RuleRun, Watch, sole_cover
from huntonce.models.ids import digest
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import RuleRunner, Siem
from huntonce.models.query import EVENT_COLUMNS
from huntonce.models.stages.alerts import raise_alert
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.kit import Kit
from huntonce.models.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

LATE = timedelta(hours=1)
"""Events may arrive this late and are still looked at by a SIEM's own search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One detection's part of a run.

    Attributes:
        fresh: Alerts that no earlier run had seen.
        alerts, hosts: All of those since it was promoted that this run saw.
        fault: Why it could not be run; "" where it was.
    """

    detection: Detection
    fresh: int
    alerts: int
    hosts: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRun:
    """A run of the promoted detections.

    Attributes:
        until: Everything before was looked at; None where the SIEM holds nothing.
        scanned: Events looked at, where the engine counts them.
    """

    rows: tuple[Ran, ...]
    until: datetime | None
    scanned: int | None


class SearchRunner(RuleRunner):
    """Runs promoted rules by one search each."""

    def __init__(self, siem: Siem) -> None:
        self._siem = siem

    @property
    @override
    def name(self) -> str:
        """The SIEM's."""
        return self._siem.name

    @override
    def run(self, rules: Sequence[GuardRule]) -> RuleRun:
        """Run them; errors as in ``RuleRunner.run``."""
        hits: dict[str, pa.Table] = {}
        faults: dict[str, str] = {}
        for rule in rules:
            try:
                found = self._siem.search_rule(
                    "\n---\n".join([rule.rule, *rule.filters]), rule.window
                )
            except TerminalError as error:
                faults[rule.rule_id] = str(error)
                continue
            if found.absent_source:
                # Silence of a source that sent nothing is no silence of the detection.
                faults[rule.rule_id] = "nothing of its log source arrived"
                continue
            hits[rule.rule_id] = found.table.select([name for name, _ in EVENT_COLUMNS])
        return RuleRun(hits=hits, faults=faults)


def run_detections(kit: Kit) -> GuardRun:
    """Run every detection on duty over what came in since, and record its alerts.

    Raises:
        TransientError: The SIEM did not answer; nothing was recorded.
    """
    extent = kit.siem.extent()
    with kit.open_unit() as unit:
        watches = {w.rule_id: w for w in unit.proofs.watches() if w.siem == kit.siem.name}
        duty = [d for d in unit.detections.list() if _on_guard(d)]
    if extent is None or not duty:
        return GuardRun(rows=(), until=extent.end if extent else None, scanned=0)
    rules = []
    for detection in duty:
        start = _from(detection, watches.get(detection.rule_id), extent)
        if kit.runner is not None:  # it knows by itself what a rule has seen
            start = detection.since or extent.start
        if start < extent.end:
            rules.append(
                GuardRule(
                    rule_id=detection.rule_id,
                    rule=detection.rule,
                    filters=detection.filters,
                    window=Window(start, extent.end),
                )
            )
    ran = (kit.runner or SearchRunner(kit.siem)).run(rules)
    with kit.open_unit() as unit:
        rows = tuple(_record(unit, kit, detection, ran, extent) for detection in duty)
        unit.commit()
    return GuardRun(rows=rows, until=extent.end, scanned=ran.scanned)


def _on_guard(detection: Detection) -> bool:
    deployed = any(d.observed == "enabled" for d in detection.deployments)
    return detection.state in ON_DUTY and deployed


def _from(detection: Detection, watch: Watch | None, extent: Window) -> datetime:
    """Where a search must start so that the days it covers are whole."""
    since = detection.since or extent.start
    if watch is None:
        return since
    day = datetime.combine((watch.seen_to - LATE).astimezone(UTC).date(), time(), UTC)
    return max(since, day)


def _record(unit: UnitOfWork, kit: Kit, detection: Detection, ran: RuleRun, extent: Window) -> Ran:
    rule_id, siem = detection.rule_id, kit.siem.name
    fault = ran.faults.get(rule_id, "")
    known = {w.siem: w for w in unit.proofs.watches(rule_id)}.get(siem)
    fresh, alerts = 0, 0
    hosts: tuple[str, ...] = ()
    hits = ran.hits.get(rule_id)
    if hits is not None:
        days = alerts_of(rule_id, siem, hits)
        fresh = sum(raise_alert(unit, kit, detection, day) for day in days)
        hosts = tuple(sorted({host for day in days for host in day.hosts}))
        alerts = sum(day.count for day in days)
    seen = extent.end
    if fault:
        seen = known.seen_to if known else detection.since or extent.start
    unit.proofs.watched(
        Watch(rule_id=rule_id, siem=siem, ran_at=kit.clock(), seen_to=seen, fault=fault)
    )
    return Ran(detection=detection, fresh=fresh, alerts=alerts, hosts=hosts, fault=fault)


def now_of(kit: Kit) -> Now:
    """What detections are compared with to see whether they are stale."""
    return Now(
        moment=kit.clock(),
        logic={hunt.name: hunt.version for hunt in kit.library.hunts},
        known=lambda technique: kit.catalogue.technique(technique) is not None,
        replay_after=timedelta(days=kit.policy.stale_days),
    )


# ---------------------------------------------------------------- retirement


def retire(kit: Kit, name: str, *, reason: str, force: bool = False) -> Detection:
    """Retire a detection and take it out of its store.

    Raises:
        DomainError: There is no such detection; or it is the only one on duty for a technique and
            nobody says ``force``; or no reason is given for that.
    """
    with kit.open_unit() as unit:
        everything = unit.detections.list()
        found = unit.detections.get(name.upper()) or unit.detections.by_key(name.lower())
        if found is None:
            raise DomainError(f"no detection is called {name!r}")
        alone = sole_cover(found, everything)
        if alone and not (force and reason.strip()):
            raise DomainError(
                f"{found.id} is the only detection that stands guard against {', '.join(alone)}",
                hint="--force with --reason retires it all the same",
            )
        saved = unit.detections.save(
            replace(found, state=DetectionState.RETIRED, healthy=None),
            actor=kit.actor,
            why=f"retired{' (sole cover)' if alone else ''}: {reason.strip() or 'no reason given'}",
        )
        for deployment in found.deployments:
            if deployment.there:
                enqueue(unit, _farewell(kit, found, deployment.siem), at=kit.clock())
        unit.commit()
    return saved


def _farewell(kit: Kit, detection: Detection, target: str) -> Message:
    remote = {d.siem: d.remote_id for d in detection.deployments}[target]
    return Message(
        key=f"rule-{target}-{detection.rule_id}-retire-{digest(kit.clock().isoformat())[:12]}",
        channel=Channel.DETECTION,
        action="retire",
        target=target,
        subject=detection.id,
        payload={"rule_id": detection.rule_id, "remote_id": remote or detection.rule_id},
    )
