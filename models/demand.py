"""Demand: which single fix would help most, by the hypotheses that wait on it.

A hypothesis can be looked at as far as the worst of its required groups of evidence is seen; with a
set of gaps mended, a group is seen on the hosts that show it already and on those that the best of
the mended gaps would light. Gaps are taken greedily, each time the one that adds most: first by the
weight of the hypotheses that come over the power floor, then by the weight of the groups that come
nearer to it (a hypothesis may need two fixes, of which neither does it alone). This is the greedy
algorithm for weighted set cover; its first step is the best single fix there is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from huntonce.models.gap import OPEN, Gap, Wait
from huntonce.models.hypothesis import Hypothesis, HypothesisState

LEAST_WEIGHT = 0.05
"""What a hypothesis without any priority counts for."""
_DIGITS = 9
Value = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One gap in the order in which they should be mended.

    Attributes:
        unlocks: Ids of the hypotheses that it brings over the power floor, after those before it.
        helps: Ids of others that stay under it and come nearer.
        widens: Ids of those that are over it anyway and are seen on more hosts.
        actors: Who these hypotheses are about.
        weight: Sum of the priorities of the unlocked ones.
    """

    gap: Gap
    unlocks: tuple[str, ...]
    helps: tuple[str, ...]
    widens: tuple[str, ...]
    actors: tuple[str, ...]
    weight: float


class Needs:
    """What the hypotheses that wait would gain by sets of gaps (by position).

    Args:
        waits: For each gap its waits.
        weights: Hypothesis key to what it counts for; others are left out.
        floor: Share of hosts from which on a hypothesis can be looked at.
    """

    def __init__(
        self, waits: Sequence[Iterable[Wait]], weights: Mapping[str, float], floor: float
    ) -> None:
        self._floor = floor
        self._weights = weights
        self._dark: dict[str, dict[str, float]] = defaultdict(dict)
        self._rest: dict[str, float] = {}
        self._lit: dict[tuple[int, str, str], float] = {}
        for number, several in enumerate(waits):
            for wait in several:
                if wait.hypothesis not in weights:
                    continue
                dark = self._dark[wait.hypothesis]
                dark[wait.group] = max(wait.dark, dark.get(wait.group, 0.0))
                rest = self._rest.get(wait.hypothesis, 1.0)
                self._rest[wait.hypothesis] = min(wait.rest, rest)
                self._lit[number, wait.hypothesis, wait.group] = wait.lit

    def seen(self, key: str, mended: Iterable[int]) -> float:
        """Share of the hosts on which a hypothesis could be looked at with gaps mended."""
        several = tuple(mended)
        groups = (
            1 - dark + min(dark, self._best(key, group, several))
            for group, dark in self._dark.get(key, {}).items()
        )
        return min(self._rest.get(key, 1.0), *groups, 1.0)

    def value(self, mended: Iterable[int]) -> Value:
        """Weight that is over the floor, and weight of what came nearer to it."""
        several = tuple(mended)
        over = near = 0.0
        for key, groups in self._dark.items():
            weight = self._weights[key]
            if self.unlocked(key, several):
                over += weight
            lit = sum(min(dark, self._best(key, g, several)) for g, dark in groups.items())
            near += weight * lit / len(groups)
        return round(over, _DIGITS), round(near, _DIGITS)

    def unlocked(self, key: str, mended: Iterable[int]) -> bool:
        """Whether gaps bring a hypothesis over the floor that is under it without them."""
        return self.seen(key, ()) < self._floor <= self.seen(key, mended)

    def touched(self, number: int) -> tuple[str, ...]:
        """Keys of the hypotheses that a gap has something for."""
        return tuple(sorted({key for n, key, _ in self._lit if n == number}))

    def _best(self, key: str, group: str, mended: tuple[int, ...]) -> float:
        return max((self._lit.get((n, key, group), 0.0) for n in mended), default=0.0)


def order(needs: Needs, count: int) -> tuple[int, ...]:
    """Positions of gaps, the one that adds most first; those that add nothing are left out."""
    chosen: list[int] = []
    left = list(range(count))
    while left:
        before = needs.value(chosen)
        gains = {
            number: tuple(
                round(after - was, _DIGITS)
                for after, was in zip(needs.value([*chosen, number]), before, strict=True)
            )
            for number in left
        }
        best = max(left, key=lambda number: (gains[number], -number))
        if not any(gain > 0 for gain in gains[best]):
            break
        chosen.append(best)
        left.remove(best)
    return tuple(chosen)


def rank(gaps: Sequence[Gap], hypotheses: Sequence[Hypothesis], *, floor: float) -> tuple[Fix, ...]:
    """The open gaps that something waits on, in the order in which they should be mended.

    Gaps that nothing waits on are not in it.
    """
    known = {h.key: h for h in hypotheses if h.state is not HypothesisState.SUPERSEDED}
    listed = [gap for gap in gaps if gap.state in OPEN and gap.waits]
    needs = Needs(
        [gap.waits for gap in listed],
        {key: max(h.priority, LEAST_WEIGHT) for key, h in known.items()},
        floor,
    )
    fixes: list[Fix] = []
    mended: list[int] = []
    for number in order(needs, len(listed)):
        touched = needs.touched(number)
        after = [*mended, number]
        new = [k for k in touched if needs.unlocked(k, after) and not needs.unlocked(k, mended)]
        others = [key for key in touched if key not in new]
        helped = [key for key in others if needs.seen(key, mended) < floor]
        fixes.append(
            Fix(
                gap=listed[number],
                unlocks=tuple(known[key].id for key in new),
                helps=tuple(known[key].id for key in helped),
                widens=tuple(known[key].id for key in others if key not in helped),
                actors=tuple(sorted({a for key in touched for a in known[key].actors})),
                weight=sum(known[key].priority for key in new),
            )
        )
        mended.append(number)
    return tuple(fixes)


def told(fix: Fix) -> str:
    """What a fix does, in words: "unlocks 14 hypotheses (APT29 and 2 more actors)"."""
    parts = []
    if fix.unlocks:
        parts.append(f"unlocks {_count(fix.unlocks)}")
    if fix.helps:
        parts.append(f"{'also ' if parts else ''}brings {_count(fix.helps)} nearer")
    if fix.widens and not parts:
        parts.append(f"shows {_count(fix.widens)} on more hosts")
    who = f" ({_some(fix.actors)})" if fix.actors else ""
    return f"{', '.join(parts)}{who}"


def business(gap: Gap, hypotheses: Mapping[str, Hypothesis]) -> str:
    """Why a gap is worth the work: what waits on it or is weakened by it, and who is behind it."""
    waiting = sorted(
        (hypotheses[key] for key in gap.unlocks if key in hypotheses),
        key=lambda h: (-h.priority, h.technique_id),
    )
    parts = []
    if waiting:
        names = ", ".join(f"{h.id} {h.technique_id}" for h in waiting[:3])
        more = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""  # noqa: PLR2004 - as above
        noun = "hypothesis" if len(waiting) == 1 else "hypotheses"
        parts.append(f"{len(waiting)} {noun} cannot be looked at in full: {names}{more}")
        actors = sorted({actor for h in waiting for actor in h.actors})
        if actors:
            parts.append(f"among them what {_some(actors)} would do here")
        if waiting[0].priority:
            parts.append(f"highest priority {waiting[0].priority:.2f}")
    if gap.guards:
        verb = "sees" if len(gap.guards) == 1 else "see"
        parts.append(f"{', '.join(gap.guards)} no longer {verb}")
    return "; ".join(parts)


def _count(ids: Sequence[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{len(ids)} hypotheses"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""  # noqa: PLR2004 - shown
    return f"{', '.join(names[:2])}{more}"
