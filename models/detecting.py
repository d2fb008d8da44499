"""Detecting: from a finding to a Sigma rule, and from its replay to a certificate."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import yaml

from huntonce.models.detection import Certificate
from huntonce.models.finding import EventRef, Finding
from huntonce.models.huntdef import DetectionTemplate, HuntDefinition
from huntonce.models.ids import digest, stable_uuid
from huntonce.models.windows import Window

MAX_ALERTS_A_DAY = 1.0
MIN_RECALL = 0.8
EXACT_UP_TO = 200
_CORE = frozenset({"registration", "tool", "occurrence"})
"""Roles of the events that a finding is made of; the others are context that was joined to it."""
NORMAL_975 = 1.959963984540054
"""The normal distribution's 97.5 % point."""


def applicable(finding: Finding, definition: HuntDefinition) -> tuple[DetectionTemplate, ...]:
    """Templates whose needs the finding's analytics meet, in the definition's order."""
    fired = set(finding.analytics)
    return tuple(
        template
        for template in definition.detections
        if all(met(need, fired) for need in template.needs)
    )


def met(need: str, fired: set[str]) -> bool:
    """Whether a need of a template (``a|b``, ``a*``) is among the analytics that fired."""
    return any(
        any(name.startswith(choice[:-1]) for name in fired)
        if choice.endswith("*")
        else choice in fired
        for choice in need.split("|")
    )


def rule_id(definition: HuntDefinition, template: DetectionTemplate) -> str:
    """The rule's UUID: one a hunt and pattern, the same wherever it is promoted."""
    return str(stable_uuid("detection", definition.id, template.name))


def sigma_rule(
    template: DetectionTemplate,
    definition: HuntDefinition,
    *,
    tactics: Sequence[str],
    references: Sequence[str],
    author: str,
    today: date,
    modified: date | None = None,
) -> str:
    """The rule as Sigma YAML (specification 2.1), keys in SigmaHQ's order."""
    rule: dict[str, object] = {
        "title": template.title,
        "id": rule_id(definition, template),
        "status": "experimental",
        "description": " ".join(template.description.split()),
        "references": list(dict.fromkeys([*definition.references, *references])),
        "author": author,
        "date": today.isoformat(),
        "tags": [
            *(f"attack.{tactic}" for tactic in tactics),
            *(f"attack.{technique.lower()}" for technique in definition.techniques),
        ],
        "logsource": dict(template.logsource),
        "detection": _plain(template.detection),
        "falsepositives": list(template.falsepositives),
        "level": template.level,
    }
    if modified is not None:
        rule["modified"] = modified.isoformat()
    return yaml.safe_dump(rule, sort_keys=False, allow_unicode=True, width=100)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def canonical_sha256(rule: str) -> str:
    """Hash of a rule's meaning: its YAML as data, whatever the layout."""
    return digest(yaml.safe_load(rule))


def poisson_interval(events: int, exposure: float) -> tuple[float, float]:
    """Exact 95 % interval of a Poisson rate (Garwood 1936), in events a unit of exposure.

    Above ``EXACT_UP_TO`` events by the formula of Wilson and Hilferty (1931), which differs from
    it by less than one part in a hundred thousand there and costs nothing.

    Raises:
        ValueError: The exposure is not positive.
    """
    if exposure <= 0:
        raise ValueError("exposure must be positive")
    if events > EXACT_UP_TO:
        return _cubed(events, -1) / exposure, _cubed(events + 1, 1) / exposure
    low = 0.0 if events == 0 else _bisect(lambda rate: 1 - _cdf(events - 1, rate), 0.025)
    high = _bisect(lambda rate: -_cdf(events, rate), -0.025)
    return low / exposure, high / exposure


def _cubed(count: int, sign: int) -> float:
    return count * (1 - 1 / (9 * count) + sign * NORMAL_975 / (3 * math.sqrt(count))) ** 3


def _cdf(count: int, rate: float) -> float:
    if rate <= 0:
        return 1.0
    logs = (k * math.log(rate) - rate - math.lgamma(k + 1) for k in range(count + 1))
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def _bisect(rising: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    while rising(high) < target:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a rule did over the history of one SIEM.

    Attributes:
        hits: Its events (``EVENT_COLUMNS``).
        branches: Selection name to number of events that selection matched by itself.
        faults: What validators said of the rule.
    """

    siem: str
    window: Window
    hits: pa.Table
    branches: Mapping[str, int]
    faults: tuple[str, ...]


def certify(
    rule: str,
    replay: Replay,
    *,
    targets: Iterable[Finding],
    spared: Iterable[Finding],
    benign_events: int,
) -> Certificate:
    """The certificate of a rule from its replay.

    ``targets`` are the findings the rule is meant for: their registrations, occurrences (or the
    tool's command, for a rule on processes) must fire. Alerts on the events of the ``spared``
    findings are neither hits nor false. ``benign_events`` is how many usual records the same
    history held.
    """
    uids = replay.hits.column("uid").to_pylist()
    hosts = replay.hits.column("host").to_pylist()
    found = set(uids)
    wanted = [ref for finding in targets for ref in _meant(finding, found)]
    fired = tuple(ref for ref in wanted if ref.uid in found)
    known = {ref.uid for finding in (*targets, *spared) for ref in finding.events}
    false = [uid for uid in uids if uid not in known]
    days = (replay.window.end - replay.window.start).total_seconds() / 86_400
    loudest = Counter(hosts).most_common(1)
    # The rate that people will live with is the one of everything that is not this intrusion.
    rate, interval = len(false) / days, poisson_interval(len(false), days)
    faults = [
        *replay.faults,
        *_shortfalls(len(fired), len(wanted), len(false), rate, replay.branches),
    ]
    return Certificate(
        rule_sha256=canonical_sha256(rule),
        fixtures=fired,
        fired=len(fired),
        expected=len(wanted),
        benign_hits=len(false),
        benign_events=benign_events,
        days=days,
        alerts_a_day=rate,
        interval=interval,
        hosts=len(set(hosts)),
        top_share=loudest[0][1] / len(hosts) if loudest else 0.0,
        branches=tuple(sorted(replay.branches.items())),
        siems=((replay.siem, digest(sorted(uids))),),
        holds=not faults,
        faults=tuple(faults),
    )


def _meant(finding: Finding, found: set[str]) -> list[EventRef]:
    """The finding's events of the kinds that the rule found any of: those it should find all of."""
    kinds = {(ref.role, ref.channel, ref.event_id) for ref in finding.events if ref.uid in found}
    kinds = {kind for kind in kinds if kind[0] in _CORE}
    return [ref for ref in finding.events if (ref.role, ref.channel, ref.event_id) in kinds]


def _shortfalls(
    fired: int, wanted: int, false: int, rate: float, branches: Mapping[str, int]
) -> list[str]:
    faults = []
    if not fired:
        faults.append("it does not find the events that it was made from")
    elif fired < MIN_RECALL * wanted:
        faults.append(f"it finds only {fired} of the {wanted} events that it was made from")
    if rate > MAX_ALERTS_A_DAY:
        faults.append(f"it would raise {rate:.1f} false alerts a day ({false} in the replay)")
    if branches and not any(branches.values()):
        faults.append("no selection of it matched anything")
    return faults
