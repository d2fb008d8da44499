"""What an indicator is worth: whether it is in force, and how far to trust a hit of it.

A sighting that says "false positive" lowers the confidence for a while; it switches nothing off
(the sighting may be about one organisation's traffic). Only its maker withdraws an indicator.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from huntonce.models.deriving.text import UNDATED, moment, plain, reference, references
from huntonce.models.hypothesis import Term
from huntonce.models.intel import IntelObject, claim_key

_UNSTATED = 50
_PERCENT = 100
_LEAST = 0.05
_DAY = timedelta(days=1)
# Half-lives in days: an address changes hands soon, a hash never. A judgement.
_HALF_LIVES = {"ipv4-addr": 60.0, "ipv6-addr": 60.0, "network-traffic": 60.0, "url": 90.0}
_HALF_LIVES |= {"domain-name": 180.0, "file": 1800.0}
_HALF_LIFE = 720.0
_DOUBT = 0.4
"""Part of the confidence that one fresh false-positive sighting takes."""
_DOUBT_HALF_LIFE = 180.0
_DISAGREE = frozenset({"disagree", "strongly-disagree"})
_FALSE = frozenset({"false-positive", "false positive", "false_positive"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing to look for, however many indicators and feeds say it.

    Attributes:
        ids: STIX ids of the indicators, the newest first.
        confidence: 0..1, explained by ``terms``.
        targets: STIX ids of what they indicate.
    """

    key: str
    name: str
    pattern: str
    pattern_type: str
    ids: tuple[str, ...]
    feeds: tuple[str, ...]
    confidence: float
    terms: tuple[Term, ...]
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotInForce:
    """An indicator that is not looked for, and why."""

    id: str
    name: str
    pattern_type: str
    why: str


def claims(
    objects: Iterable[IntelObject], feeds: Mapping[str, tuple[str, ...]], now: datetime
) -> tuple[tuple[Claim, ...], tuple[NotInForce, ...]]:
    """The claims of the indicators in force, most trusted first, and those not in force.

    ``objects``: indicators, with the sightings, opinions and ``indicates`` relationships about
    them. The same pattern under several ids is one claim.
    """
    indicators: dict[str, IntelObject] = {}
    seen: dict[str, list[datetime]] = defaultdict(list)
    doubts: dict[str, list[datetime]] = defaultdict(list)
    targets: dict[str, list[str]] = defaultdict(list)
    for item in objects:
        if item.type == "indicator":
            indicators[item.id] = item
        else:
            _about(item, seen, doubts, targets)
    groups: dict[str, list[IntelObject]] = defaultdict(list)
    dead: list[NotInForce] = []
    for item in indicators.values():
        why = _out_of_force(item, now)
        if why:
            dead.append(_not_in_force(item, why))
        else:
            groups[claim_key(item.content) or item.id].append(item)
    made = [
        _claim(key, members, feeds, seen, doubts, targets, now) for key, members in groups.items()
    ]
    return (
        tuple(sorted(made, key=lambda c: (-c.confidence, c.name, c.key))),
        tuple(sorted(dead, key=lambda d: (d.name, d.id))),
    )


def _about(
    item: IntelObject,
    seen: dict[str, list[datetime]],
    doubts: dict[str, list[datetime]],
    targets: dict[str, list[str]],
) -> None:
    content = item.content
    stamp = moment(content.get("last_seen") or content.get("modified") or content.get("created"))
    match item.type:
        case "sighting":
            about = reference(content, "sighting_of_ref")
            if _says_false(item):
                doubts[about].append(stamp)
            elif content.get("count") != 0:
                seen[about].append(stamp)
        case "opinion" if plain(content.get("opinion")) in _DISAGREE:
            for about in references(content, "object_refs"):
                doubts[about].append(stamp)
        case "relationship" if plain(content.get("relationship_type")) == "indicates":
            targets[reference(content, "source_ref")].append(reference(content, "target_ref"))
        case _:
            pass


def _says_false(sighting: IntelObject) -> bool:
    """As MISP and others write it: in a label, a type of their own, or the description's first."""
    content = sighting.content
    labels = content.get("labels")
    words = [*labels] if isinstance(labels, (list, tuple)) else []
    words += [value for key, value in content.items() if key.startswith("x_") and "type" in key]
    return any(plain(word).casefold() in _FALSE for word in words)


def _out_of_force(item: IntelObject, now: datetime) -> str:
    if item.revoked:
        return "its maker has revoked it"
    until = moment(item.content.get("valid_until"))
    if UNDATED < until <= now:
        return f"expired on {until:%Y-%m-%d}"
    if not plain(item.content.get("pattern"), 10):
        return "has no pattern"
    kinds = item.content.get("indicator_types")
    if isinstance(kinds, (list, tuple)) and set(kinds) == {"benign"}:
        return "says of itself that it is benign"
    return ""


def name_of(item: IntelObject) -> str:
    """Its name; else the start of its pattern."""
    return plain(item.content.get("name")) or plain(item.content.get("pattern")) or item.id


def _not_in_force(item: IntelObject, why: str) -> NotInForce:
    kind = plain(item.content.get("pattern_type"), 40)
    return NotInForce(id=item.id, name=name_of(item), pattern_type=kind, why=why)


def _claim(
    key: str,
    members: Sequence[IntelObject],
    feeds: Mapping[str, tuple[str, ...]],
    seen: Mapping[str, list[datetime]],
    doubts: Mapping[str, list[datetime]],
    targets: Mapping[str, list[str]],
    now: datetime,
) -> Claim:
    ranked = sorted(members, key=lambda m: (-moment(m.version).timestamp(), m.id))
    content = ranked[0].content
    pattern = str(content.get("pattern", ""))
    ids = tuple(member.id for member in ranked)
    stamps = [moment(m.content.get("valid_from") or m.content.get("created")) for m in members]
    stamps += [stamp for one in ids for stamp in seen.get(one, ()) if stamp <= now + _DAY]
    confidence, terms = trust(
        [m.content.get("confidence") for m in members],
        newest=max(stamps),
        kind=pattern.lstrip("[( ").partition(":")[0],
        doubts=[stamp for one in ids for stamp in doubts.get(one, ())],
        now=now,
    )
    return Claim(
        key=key,
        name=name_of(ranked[0]),
        pattern=pattern,
        pattern_type=plain(content.get("pattern_type"), 40),
        ids=ids,
        feeds=tuple(sorted({feed for one in ids for feed in feeds.get(one, ())})),
        confidence=confidence,
        terms=terms,
        targets=tuple(dict.fromkeys(t for one in ids for t in targets.get(one, ()) if t)),
    )


def trust(
    stated: Iterable[object],
    *,
    newest: datetime,
    kind: str,
    doubts: Iterable[datetime],
    now: datetime,
) -> tuple[float, tuple[Term, ...]]:
    """Confidence in a hit, 0.05..1, and its terms, which sum up to it.

    Args:
        stated: STIX confidence of each indicator, 0..100, or anything else where unstated.
        newest: When it was made or last seen.
        kind: Observable type that its pattern starts with.
        doubts: When somebody called it a false positive.
        now: The moment that ages are counted to.
    """
    known = [
        value
        for value in stated
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _PERCENT
    ]
    base = max(known, default=_UNSTATED) / _PERCENT
    words = f"stated {max(known)} of 100" if known else "no confidence is stated"
    days = max((now - newest) / _DAY, 0.0) if newest > UNDATED else 0.0
    aged = base * 0.5 ** (days / _HALF_LIVES.get(kind, _HALF_LIFE))
    told = [max((now - stamp) / _DAY, 0.0) for stamp in doubts]
    kept = aged
    for age in told:
        kept *= 1 - _DOUBT * 0.5 ** (age / _DOUBT_HALF_LIFE)
    value = max(_LEAST, min(kept, 1.0))
    terms = [Term(name="source", value=round(base, 4), why=words)]
    if aged < base:
        terms.append(Term(name="age", value=round(aged - base, 4), why=f"{days:.0f} days old"))
    if told:
        why = (
            f"called a false positive {len(told)} times"
            if len(told) > 1
            else ("called a false positive once")
        )
        terms.append(Term(name="doubt", value=round(kept - aged, 4), why=why))
    if value > kept:
        terms.append(Term(name="floor", value=round(value - kept, 4), why="never switched off"))
    return round(value, 4), tuple(terms)
