"""Guarding: what a promoted detection did since, and whether it may still be relied on.

Everything here is computed from what is stored; nobody writes it down by hand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import yaml

from huntonce.models.alert import Alert, verdicts
from huntonce.models.case import Case
from huntonce.models.detecting import as_yaml, poisson_interval
from huntonce.models.detection import ON_DUTY, TRANSITIONS, Detection, DetectionState, rises
from huntonce.models.errors import DomainError
from huntonce.models.ids import stable_uuid
from huntonce.models.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRule:
    """A promoted rule as a runner is given it; ``window`` is what it has not seen yet."""

    rule_id: str
    rule: str
    filters: tuple[str, ...]
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRun:
    """What a run of promoted rules found.

    Attributes:
        hits: Rule id to its events in its window (``EVENT_COLUMNS``); rules without a hit too.
        faults: Rule id to why it could not be run: it was not looked, which is not silence.
        scanned: Events that were looked at; those seen before are not. None: it does not count.
    """

    hits: Mapping[str, "pa.Table"]
    faults: Mapping[str, str] = field(default_factory=dict)
    scanned: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How far a detection has been run on a SIEM.

    Attributes:
        seen_to: Everything before was looked at.
        fault: Why the last run could not look; "" where it did.
    """

    rule_id: str
    siem: str
    ran_at: datetime
    seen_to: datetime
    fault: str = ""


# ---------------------------------------------------------------- filters


def write_filter(
    detection: Detection,
    where: Mapping[str, Sequence[str]],
    *,
    owner: str,
    reason: str,
    today: date,
    expires: str = "",
) -> str:
    """A Sigma filter (YAML) that takes out of a rule's alerts what all the fields match.

    Raises:
        DomainError: Nothing is to be matched, owner or reason is missing, or the expiry is none.
    """
    if not where or not owner.strip() or not reason.strip():
        raise DomainError("a filter needs fields to match, an owner and a reason")
    if expires:
        try:
            date.fromisoformat(expires)
        except ValueError:
            raise DomainError(f"{expires!r} is no date", hint="write it like 2027-03-31") from None
    logsource = yaml.safe_load(detection.rule)["logsource"]
    selection = {
        name: [str(v) for v in values] if len(values) > 1 else str(values[0])
        for name, values in where.items()
    }
    document: dict[str, object] = {
        "title": f"Filter For {detection.title}",
        "id": str(stable_uuid("filter", detection.rule_id, selection)),
        "description": " ".join(reason.split()),
        "author": " ".join(owner.split()),
        "date": today,
        "logsource": logsource,
        "filter": {
            "rules": [detection.rule_id],
            "selection": selection,
            "condition": "not selection",
        },
    }
    if expires:
        document["expires"] = expires
    return as_yaml(document)


def filter_facts(text: str) -> dict[str, str]:
    """Id, title, owner, reason and expiry of a Sigma filter, "" for what it does not say."""
    document = yaml.safe_load(text)
    names = {"id": "id", "title": "title", "owner": "author", "reason": "description",
             "expires": "expires"}  # fmt: skip
    return {name: str(document.get(key, "") or "") for name, key in names.items()}


# ---------------------------------------------------------------- record of service


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a detection did since it was promoted.

    Attributes:
        days: Length of what it was run over since.
        interval: 95 % Poisson interval of the alerts a day; None where there was no time yet.
        real, false: Alerts that people or closed cases say are real, or false.
        open: The others: nobody has said.
        precision: Real of those that were judged; None where none was.
    """

    days: float
    alerts: int
    hosts: int
    last: datetime | None
    interval: tuple[float, float] | None
    real: int
    false: int
    open: int

    @property
    def precision(self) -> float | None:
        judged = self.real + self.false
        return self.real / judged if judged else None


def record(
    detection: Detection,
    alerts: Iterable[Alert],
    watches: Iterable[Watch],
    cases: Iterable[Case],
) -> Record:
    """The record of service of a detection."""
    own = [alert for alert in alerts if alert.rule_id == detection.rule_id]
    seen = [watch.seen_to for watch in watches if watch.rule_id == detection.rule_id]
    since, until = detection.since, max(seen, default=None)
    span = max(0.0, (until - since).total_seconds() / 86_400) if since and until else 0.0
    count = sum(alert.count for alert in own)
    real, false = verdicts(own, cases)
    return Record(
        days=span,
        alerts=count,
        hosts=len({host for alert in own for host in alert.hosts}),
        last=max((alert.last for alert in own), default=None),
        interval=poisson_interval(count, span) if span > 0 else None,
        real=real,
        false=false,
        open=count - real - false,
    )


# ---------------------------------------------------------------- life


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What a detection is compared with.

    Attributes:
        logic: Hunt name to its version.
        known: Whether the ATT&CK catalogue knows a technique.
        replay_after: A certificate older than this is stale.
        run_after: So is a detection that was not run for this long.
    """

    moment: datetime
    logic: Mapping[str, str]
    known: Callable[[str], bool]
    replay_after: timedelta = timedelta(days=30)
    run_after: timedelta = timedelta(days=7)


def staleness(detection: Detection, now: Now, watches: Iterable[Watch] = ()) -> tuple[str, ...]:
    """Why a detection's proof is old, in words; empty where it is fresh or not on duty."""
    return tuple(_staleness(detection, now, watches)) if detection.state in ON_DUTY else ()


def _staleness(detection: Detection, now: Now, watches: Iterable[Watch]) -> Iterator[str]:
    certificate = detection.certificate
    issued = certificate.issued_at if certificate else None
    if certificate and issued is not None and now.moment - issued > now.replay_after:
        yield f"not replayed for {(now.moment - issued).days} days"
    version = now.logic.get(detection.hunt_name)
    if certificate and certificate.logic_version and certificate.logic_version != version:
        if version is None:
            yield f"its hunt {detection.hunt_name} is gone"
        else:
            yield f"its hunt changed ({certificate.logic_version} to {version})"
    gone = [one for one in detection.technique_ids if not now.known(one)]
    if gone:
        yield f"ATT&CK has no {', '.join(gone)} any more"
    yield from _lapsed(detection, now)
    for watch in watches:
        if watch.rule_id != detection.rule_id:
            continue
        if now.moment - watch.ran_at > now.run_after:
            yield f"not run on {watch.siem} for {(now.moment - watch.ran_at).days} days"
        if watch.fault:
            yield f"could not be run on {watch.siem}: {watch.fault}"


def _lapsed(detection: Detection, now: Now) -> Iterator[str]:
    for text in detection.filters:
        expires = filter_facts(text)["expires"]
        if expires and expires < now.moment.date().isoformat():
            yield f"a filter of it expired on {expires}"


def sole_cover(detection: Detection, others: Iterable[Detection]) -> tuple[str, ...]:
    """Techniques that no other detection on duty, with a certificate that holds, watches."""
    if detection.state not in ON_DUTY:
        return ()
    watched = {
        technique
        for other in others
        if other.rule_id != detection.rule_id
        and other.state in ON_DUTY
        and other.certificate is not None
        and other.certificate.holds
        for technique in other.technique_ids
    }
    return tuple(one for one in detection.technique_ids if one not in watched)


def check_step(
    detection: Detection, to: DetectionState, *, broken: Sequence[str], stale: Sequence[str]
) -> None:
    """Nothing, where a detection may take a step.

    Raises:
        DomainError: Its life has no such step, or its proof does not carry it; says what is
            missing.
    """
    name = detection.id or detection.rule_id
    if to not in TRANSITIONS[detection.state]:
        steps = ", ".join(sorted(state.value for state in TRANSITIONS[detection.state]))
        raise DomainError(
            f"{name} cannot go from {detection.state.value} to {to.value}",
            hint=f"from {detection.state.value} it goes to {steps}",
        )
    if not rises(detection.state, to):
        return
    certificate = detection.certificate
    missing = [*broken, *stale]
    if certificate is None:
        missing = ["it has no certificate"]
    elif not certificate.holds:
        missing += certificate.faults or ("its certificate does not hold",)
    elif rises(certificate.allows, to):
        missing += certificate.limits or (f"its certificate supports {certificate.allows.value}",)
    if missing:
        raise DomainError(
            f"{name} cannot become {to.value}: {'; '.join(missing)}",
            hint=f"huntonce detections certify {name} runs the proof again",
        )
