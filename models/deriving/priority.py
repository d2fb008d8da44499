"""What a hypothesis is worth hunting first: a sum of terms, each with its reason.

The weights sum to 1, so that a priority lies in 0..1.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from huntonce.models.attack_types import Technique
from huntonce.models.deriving.text import UNDATED
from huntonce.models.hypothesis import Term
from huntonce.models.intel import Behaviour, SourceRef
from huntonce.models.profile import Profile

WEIGHTS: dict[str, float] = {
    "recency": 0.20,
    "relevance": 0.15,
    "sources": 0.15,
    "distinct": 0.10,
    "procedure": 0.10,
    "confidence": 0.05,
    "unguarded": 0.15,
    "evidence": 0.10,
}
HALF_LIFE_DAYS = 180.0
_SECTOR, _REGION, _TECHNOLOGY = 0.4, 0.3, 0.3
# Neither for nor against: intelligence or profile says nothing.
_UNSAID = 0.5
_ELSEWHERE = 0.2
_UNSTATED_CONFIDENCE = 50
_SKEW = timedelta(days=1)
_TELLING_PROCEDURES = 3
# So many independent sources are worth half of the term; it never saturates, since whole
# catalogues of actors are loaded.
_TELLING_SOURCES = 3
_DIGITS = 4
# How far a tactic stands out from what administrators and programs do all day; the best of a
# technique's tactics counts. A judgement, not a measurement.
_STANDS_OUT = {"discovery": 0.2, "collection": 0.4, "execution": 0.5, "command-and-control": 0.5}
_BROAD = 0.5


def score(
    technique: Technique,
    scope: str,
    claims: Sequence[Behaviour],
    profile: Profile,
    *,
    guarded: bool | None,
    visible: float | None,
    now: datetime,
) -> tuple[float, tuple[Term, ...]]:
    """Priority 0..1 and its terms, in the order of ``WEIGHTS``.

    ``guarded``: a detection stands guard (True), stands but is not healthy (False), there is none
    (None). ``visible``: share of the evidence that is there; None where it was not measured.
    """
    shares = {
        "recency": _recency(claims, now),
        "relevance": _relevance(scope, claims, profile),
        "sources": _sources(claims),
        "distinct": _distinct(technique),
        "procedure": _procedure(claims),
        "confidence": _confidence(claims),
        "unguarded": _unguarded(guarded),
        "evidence": _evidence(visible),
    }
    terms = tuple(
        Term(name=name, value=round(WEIGHTS[name] * share, _DIGITS), why=why)
        for name, (share, why) in shares.items()
    )
    return round(sum(term.value for term in terms), _DIGITS), terms


def _recency(claims: Iterable[Behaviour], now: datetime) -> tuple[float, str]:
    stamps = [dated(claim) for claim in claims]
    known = [stamp for stamp in stamps if UNDATED < stamp <= now + _SKEW]
    if not known:
        return 0.0, "no source has a usable date"
    newest = max(known)
    days = max((now - newest) / timedelta(days=1), 0.0)
    return 0.5 ** (days / HALF_LIFE_DAYS), f"last reported or seen on {newest:%Y-%m-%d}"


def dated(claim: Behaviour) -> datetime:
    """When a claim was last seen or made; else when the newest of its sources was changed."""
    return claim.dated or max(source.modified for source in claim.sources)


def _relevance(scope: str, claims: Sequence[Behaviour], profile: Profile) -> tuple[float, str]:
    sector, sector_why = _aim("sector", profile.sectors, [claim.sectors for claim in claims])
    region, region_why = _aim("region", profile.regions, [claim.regions for claim in claims])
    technology, technology_why = _technologies(claims, profile)
    share = _SECTOR * sector + _REGION * region + _TECHNOLOGY * technology
    return share, f"{scope} is ours; {sector_why}; {region_why}; {technology_why}"


def _aim(word: str, ours: Iterable[str], theirs: Iterable[tuple[str, ...]]) -> tuple[float, str]:
    """How well the best of the claims' aims fits us; a claim that names none may mean anyone."""
    mine = sorted(value.casefold() for value in ours)
    named = {value for aims in theirs for value in aims}
    if not mine or not named:
        return _UNSAID, f"no {word} to compare"
    common = [m for m in mine if any(_same(m, other) for other in named)]
    if common:
        return 1.0, f"aims at our {word} ({', '.join(common)})"
    others = f"aims at other {word}s ({', '.join(sorted(named)[:3])})"
    if all(theirs):
        return _ELSEWHERE, others
    return _UNSAID, f"in part {others}, in part unsaid"


def _same(ours: str, theirs: str) -> bool:
    """Equal, or one is the wider term (government-national, western-europe)."""
    first, second = sorted((ours, theirs), key=len)
    return first == second or second.startswith(f"{first}-") or second.endswith(f"-{first}")


def _technologies(claims: Iterable[Behaviour], profile: Profile) -> tuple[float, str]:
    told = " ".join(claim.procedure for claim in claims).casefold()
    if not profile.technologies or not told:
        return _UNSAID, "no technology to compare"
    named = [
        technology
        for technology in profile.technologies
        if re.search(rf"(?<!\w){re.escape(technology.casefold())}(?!\w)", told)
    ]
    if named:
        return 1.0, f"names technology of ours ({', '.join(named[:3])})"
    return _UNSAID, "names none of our technologies"


def _sources(claims: Iterable[Behaviour]) -> tuple[float, str]:
    count = len(independent(claims))
    words = "1 independent source" if count == 1 else f"{count} independent sources"
    return count / (count + _TELLING_SOURCES), words


def independent(claims: Iterable[Behaviour]) -> frozenset[tuple[str, str]]:
    """The sources that speak for themselves.

    A report is one, however many relationships it brings. Outside reports, a feed is one for each
    actor that it describes.
    """
    found: set[tuple[str, str]] = set()
    for claim in claims:
        reports = {s.object_id for s in claim.sources if s.object_type in {"report", "grouping"}}
        if reports:
            found.update(("report", report) for report in reports)
        else:
            found.add((_first_feed(claim.sources), claim.actor))
    return frozenset(found)


def _first_feed(sources: Iterable[SourceRef]) -> str:
    return min(source.feed for source in sources)


def _distinct(technique: Technique) -> tuple[float, str]:
    best = max((_STANDS_OUT.get(tactic, 1.0) for tactic in technique.tactics), default=0.5)
    words = "stands out from everyday use" if best == 1 else "looks like everyday use in part"
    if best <= _STANDS_OUT["discovery"]:
        words = "looks like everyday administration"
    if technique.has_subtechniques:
        return best * _BROAD, f"{words}; named broadly, without a sub-technique"
    return best, words


def _procedure(claims: Iterable[Behaviour]) -> tuple[float, str]:
    count = len({claim.procedure for claim in claims if claim.procedure})
    if not count:
        return 0.0, "no source says how it is done"
    words = "1 procedure is" if count == 1 else f"{count} procedures are"
    return min(count, _TELLING_PROCEDURES) / _TELLING_PROCEDURES, f"{words} described"


def _confidence(claims: Iterable[Behaviour]) -> tuple[float, str]:
    claims = list(claims)
    if any(claim.own for claim in claims):
        return 1.0, "seen in an incident of our own"
    stated = [claim.confidence for claim in claims if claim.confidence is not None]
    if not stated:
        return _UNSTATED_CONFIDENCE / 100, "sources state no confidence"
    return max(stated) / 100, f"best stated confidence is {max(stated)} of 100"


def _unguarded(guarded: bool | None) -> tuple[float, str]:
    if guarded:
        return 0.0, "a healthy detection stands guard"
    if guarded is None:
        return 1.0, "no detection stands guard"
    return 1.0, "the detection that should stand guard is not healthy"


def _evidence(visible: float | None) -> tuple[float, str]:
    if visible is None:
        return _UNSAID, "evidence not measured yet"
    share = min(max(visible, 0.0), 1.0)
    return share, f"{share:.0%} of the evidence is there"
