"""Matrix: the techniques by tactic with four marks, and hunts by verdict and by what they saw."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Verdict
from huntonce.models.report.techniques import Level, TechniqueRow

TACTICS = (
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
)
"""In the order of ATT&CK, with the names of version 19 beside those of 18."""
ELSEWHERE = "no tactic known"
BANDS = ((0.0, "nothing"), (0.5, "under 50 %"), (0.8, "50 to 80 %"), (0.95, "80 to 95 %"))
"""Power that a band ends under (the first: at most), and its name; above is the last band."""
LAST_BAND = "95 % and more"


@dataclass(frozen=True, slots=True, kw_only=True)
class TacticRow:
    """A tactic with its techniques.

    Attributes:
        counts: How many of them have intel, can be seen, were hunted, are guarded: in full.
    """

    name: str
    techniques: tuple[TechniqueRow, ...]
    counts: tuple[int, int, int, int]


def tactic_rows(
    rows: Iterable[TechniqueRow], tactics: Mapping[str, tuple[str, ...]]
) -> tuple[TacticRow, ...]:
    """The techniques by tactic, those of several tactics in each."""
    groups: dict[str, list[TechniqueRow]] = defaultdict(list)
    for row in rows:
        for tactic in tactics.get(row.technique_id, ()) or (ELSEWHERE,):
            groups[tactic].append(row)
    known = [name for name in TACTICS if name in groups]
    others = sorted(name for name in groups if name not in TACTICS)
    return tuple(_row(name, groups[name]) for name in (*known, *others))


def _row(name: str, group: Sequence[TechniqueRow]) -> TacticRow:
    intel, sight, hunted, guarded = (
        sum(row.marks[i].level is Level.FULL for row in group) for i in range(4)
    )
    return TacticRow(
        name=name.replace("-", " "),
        techniques=tuple(sorted(group, key=lambda row: row.technique_id)),
        counts=(intel, sight, hunted, guarded),
    )


def verdicts_by_power(runs: Iterable[HuntRun]) -> Mapping[Verdict, tuple[int, ...]]:
    """For each verdict, how many hunts saw how much, in the order of the bands."""
    counts = {verdict: [0] * (len(BANDS) + 1) for verdict in Verdict}
    for run in runs:
        if run.verdict is not None:
            counts[run.verdict][band(run.power.value if run.power is not None else 0.0)] += 1
    return {verdict: tuple(bands) for verdict, bands in counts.items()}


def band(power: float) -> int:
    """Position of the band that a power lies in."""
    if power <= 0:
        return 0
    return next((i for i, (limit, _) in enumerate(BANDS) if i and power < limit), len(BANDS))
