"""What stored intelligence claims: which behaviour, by whom, how, and who says so.

Every claim ends as (part of) a ``Behaviour`` or as ``Unplaced`` with its reason.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from huntonce.models.attack import Catalogue
from huntonce.models.attack_types import Outcome, Resolution
from huntonce.models.deriving.graph import REPORT_TYPES, Feeds, IntelGraph
from huntonce.models.deriving.text import (
    confidence,
    object_type,
    plain,
    procedure,
    reference,
    references,
)
from huntonce.models.intel import Behaviour, IntelObject, SourceRef

CLAIMING_TYPES = frozenset({"relationship", "sighting", *REPORT_TYPES})
"""Types of the objects that make claims: those that a behaviour names as its sources."""
_CLAIMING = {"uses", "indicates"}
# A generator that links every malware of a report to every technique of it says no more than
# that the report names both. From these sizes on, equal sets are no coincidence.
_BLANKET_SUBJECTS = 3
_BLANKET_TECHNIQUES = 5
# Shorter texts on an indicator say what the indicator is ("Word doc with macro").
_TELLING_SPACES = 5
_ID_IN_NAME = re.compile(r"(?<![\w.])T[0-9]{4}(?:\.[0-9]{3})?(?![\w]|\.[0-9])", re.ASCII)


class Cause(StrEnum):
    """Why a claim could not be placed on an active technique."""

    REVOKED = "revoked"
    DEPRECATED = "deprecated"
    UNKNOWN = "unknown"
    NO_ATTACK_ID = "no_attack_id"
    DANGLING = "dangling"
    NOT_SEEN = "not_seen"


_CAUSES = {
    Outcome.REVOKED: Cause.REVOKED,
    Outcome.DEPRECATED: Cause.DEPRECATED,
    Outcome.UNKNOWN: Cause.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A claim that yields no behaviour.

    Attributes:
        object_id: Of the relationship, report or sighting that makes the claim.
        claim: The claim in words ("FIN7 uses Scripting").
        technique: The id as claimed; "" where there is none.
        why: The reason, in a sentence.
    """

    object_id: str
    object_type: str
    claim: str
    technique: str
    cause: Cause
    why: str
    feeds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    subject: str
    actor: str
    actor_type: str
    technique_id: str
    procedure: str
    sources: tuple[SourceRef, ...]
    sectors: tuple[str, ...]
    regions: tuple[str, ...]
    confidence: int | None
    own: bool
    created_by: str
    dated: datetime


def behaviours(
    objects: Iterable[IntelObject],
    catalogue: Catalogue,
    *,
    feeds: Feeds,
    own_identity: str = "",
) -> tuple[tuple[Behaviour, ...], tuple[Unplaced, ...]]:
    """Behaviours that the objects claim, and the claims that could not be placed.

    Read are ``uses`` and ``indicates`` relationships to attack-patterns, sightings of
    attack-patterns, and attack-patterns in reports and groupings where no relationship claims
    them for that report. One behaviour for each technique, actor and procedure, with all its
    sources, ordered by technique and actor; the order of ``objects`` does not matter.
    ``feeds`` gives the feeds that delivered an object.
    """
    reader = _Reader(IntelGraph(objects, feeds), catalogue, feeds, own_identity)
    claims = _unblanket(reader.read(), reader.graph)
    unplaced = sorted(reader.unplaced, key=lambda u: (u.object_id, u.technique, u.claim))
    return _fold(claims), tuple(unplaced)


def placements(objects: Iterable[IntelObject], catalogue: Catalogue) -> tuple[Resolution, ...]:
    """Technique ids in the objects' attack-patterns that are not current, and what became of them.

    Each id once, in order; the resolvable ones are among the behaviours under their new id.
    """
    claimed = {i for o in objects if o.type == "attack-pattern" for i in _attack_ids(o)}
    found = (catalogue.resolve(technique_id) for technique_id in sorted(claimed))
    return tuple(answer for answer in found if answer.outcome is not Outcome.CURRENT)


class _Reader:
    """One pass over a graph; collects what it cannot place in ``unplaced``."""

    def __init__(
        self, graph: IntelGraph, catalogue: Catalogue, feeds: Feeds, own_identity: str
    ) -> None:
        self.graph = graph
        self.unplaced: list[Unplaced] = []
        self._catalogue = catalogue
        self._feeds = feeds
        self._own = own_identity
        self._claimed: dict[str, set[str]] = defaultdict(set)
        self._denied: dict[str, set[str]] = defaultdict(set)
        self._techniques: dict[str, Resolution | str] = {}

    def read(self) -> list[_Claim]:
        claims = [claim for edge in self.graph.relationships for claim in self._edge(edge)]
        for item in self.graph.objects.values():
            if item.type == "sighting":
                claims.extend(self._sighting(item))
        for report in self.graph.reports:
            claims.extend(self._report(report))
        return claims

    def _edge(self, edge: IntelObject) -> Iterator[_Claim]:
        """A relationship's claim."""
        subject = reference(edge.content, "source_ref")
        pattern = reference(edge.content, "target_ref")
        kind = plain(edge.content.get("relationship_type")).casefold()
        incident = kind == "related-to" and object_type(subject) == "incident"
        if object_type(pattern) != "attack-pattern" or not (kind in _CLAIMING or incident):
            return
        self._claimed[pattern].update((subject, edge.id))
        actor = subject
        if object_type(subject) in {"indicator", "incident"}:
            actor = self.graph.indicated(subject)
        yield from self._place(edge, pattern, actor, subject)

    def _sighting(self, sighting: IntelObject) -> Iterator[_Claim]:
        """A sighting's claim; a count of 0 says that it was looked for and not seen."""
        pattern = reference(sighting.content, "sighting_of_ref")
        if object_type(pattern) != "attack-pattern":
            return
        if sighting.content.get("count") == 0:
            self._denied[pattern].add(sighting.id)
            self._note(
                sighting, pattern, Cause.NOT_SEEN, "a sighting with count 0: it was not seen"
            )
            return
        self._claimed[pattern].add(sighting.id)
        yield from self._place(sighting, pattern, "", "")

    def _report(self, report: IntelObject) -> Iterator[_Claim]:
        """Techniques that a report names, where nothing in it claims (or denies) them already."""
        refs = self.graph.refs[report.id]
        actor = self.graph.actor_of(report)
        for pattern in sorted(refs):
            if object_type(pattern) != "attack-pattern":
                continue
            if not (self._claimed[pattern] | self._denied[pattern]) & refs:
                yield from self._place(report, pattern, actor, "")

    def _place(
        self, item: IntelObject, pattern: str, actor_id: str, subject: str
    ) -> Iterator[_Claim]:
        answer = self._technique(pattern)
        if isinstance(answer, str):
            cause = Cause.NO_ATTACK_ID if pattern in self.graph.objects else Cause.DANGLING
            self._note(item, pattern, cause, answer)
            return
        if not answer.usable:
            self._note(item, pattern, _CAUSES[answer.outcome], answer.why, answer.asked)
            return
        actor, actor_type = self._actor(self.graph.behind(actor_id))
        pattern_name = self.graph.name(pattern) or self._catalogue.name(answer.id)
        subject_name = self.graph.name(subject) or actor
        told = self._told(item, subject_name, pattern_name)
        sectors, regions = self._aims(item, actor_id)
        yield _Claim(
            subject=subject,
            actor=actor,
            actor_type=actor_type,
            technique_id=answer.id,
            procedure=told,
            sources=self._sources(item, pattern, subject or actor_id, actor_id),
            sectors=sectors,
            regions=regions,
            confidence=confidence(item.content),
            own=bool(self._own) and item.created_by == self._own,
            created_by=item.created_by,
            dated=self.graph.dated(item, actor_id),
        )

    def _told(self, item: IntelObject, subject: str, pattern: str) -> str:
        """How it is done; a report's description is about all of it, so it is none."""
        if item.type not in {"relationship", "sighting"}:
            return ""
        text = procedure(item.content.get("description"), subject, pattern)
        about_indicator = object_type(reference(item.content, "source_ref")) == "indicator"
        return "" if about_indicator and text.count(" ") < _TELLING_SPACES else text

    def _aims(self, item: IntelObject, actor_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if item.type == "sighting":
            return self.graph.places(references(item.content, "where_sighted_refs"))
        return self.graph.aims(actor_id) if actor_id else ((), ())

    def _sources(
        self, item: IntelObject, pattern: str, subject: str, actor: str
    ) -> tuple[SourceRef, ...]:
        name = self._words(item, pattern)
        found = list(self.graph.source(item, name, pattern, subject, actor))
        if item.type == "relationship":
            for report in self.graph.reports_with(item.id):
                found.extend(self.graph.source(report, self.graph.name(report.id) or report.id))
        return tuple(found)

    def _technique(self, pattern: str) -> Resolution | str:
        """The technique of an attack-pattern; else the reason why there is none."""
        if pattern not in self._techniques:
            self._techniques[pattern] = self._look_up(pattern)
        return self._techniques[pattern]

    def _look_up(self, pattern: str) -> Resolution | str:
        item = self.graph.objects.get(pattern)
        ids = _attack_ids(item) if item else ()
        if ids:
            answers = [self._catalogue.resolve(technique_id) for technique_id in ids]
            return next((answer for answer in answers if answer.usable), answers[0])
        known = self._catalogue.by_stix_id(pattern)
        if known is not None:
            return self._catalogue.resolve(known.id)
        if item is None:
            return f"{pattern} is not among the stored objects and not of ATT&CK"
        return f"{self.graph.name(pattern) or pattern} carries no ATT&CK technique id"

    def _actor(self, actor_id: str) -> tuple[str, str]:
        name = self.graph.name(actor_id)
        if not name and actor_id:
            named = self._catalogue.named.get(actor_id.casefold())
            name = named.name if named else ""
        return (name, object_type(actor_id)) if name else ("", "")

    def _words(self, item: IntelObject, pattern: str) -> str:
        what = self.graph.name(pattern) or pattern
        if item.type == "relationship":
            subject = reference(item.content, "source_ref")
            verb = plain(item.content.get("relationship_type"), 40)
            return f"{self.graph.name(subject) or object_type(subject)} {verb} {what}"
        if item.type == "sighting":
            return f"sighting of {what}"
        return self.graph.name(item.id) or item.id

    def _note(
        self, item: IntelObject, pattern: str, cause: Cause, why: str, technique: str = ""
    ) -> None:
        words = self._words(item, pattern)
        if item.type not in {"relationship", "sighting"}:
            words = f"{words} names {self.graph.name(pattern) or pattern}"
        self.unplaced.append(
            Unplaced(
                object_id=item.id,
                object_type=item.type,
                claim=words,
                technique=technique,
                cause=cause,
                why=why,
                feeds=self._feeds(item.id),
            )
        )


def _attack_ids(pattern: IntelObject) -> tuple[str, ...]:
    """Technique ids of an attack-pattern's external references, Enterprise's first.

    Where it has none of ATT&CK's, an id that its name spells out ("Phishing [T1566]", as CISA
    writes) stands in.
    """
    listed = pattern.content.get("external_references")
    found: list[tuple[bool, str]] = []
    for entry in listed if isinstance(listed, (list, tuple)) else ():
        if isinstance(entry, Mapping):
            source = plain(entry.get("source_name")).casefold()
            technique_id = plain(entry.get("external_id"))
            if source.startswith("mitre-") and "attack" in source and technique_id:
                found.append((source != "mitre-attack", technique_id))
    if not found:
        spelt = set(_ID_IN_NAME.findall(plain(pattern.content.get("name"))))
        return tuple(spelt) if len(spelt) == 1 else ()
    return tuple(technique_id for _, technique_id in sorted(found, key=lambda pair: pair[0]))


def _unblanket(claims: list[_Claim], graph: IntelGraph) -> list[_Claim]:
    """Claims of generators that link everything with everything, reduced to what they say.

    They keep their sources, but name no longer the single malware or tool; the actor is the one
    that their report is about, if it is about one.
    """
    techniques: dict[tuple[str, str], set[str]] = defaultdict(set)
    for claim in claims:
        if claim.actor_type in {"malware", "tool"} and not claim.procedure:
            techniques[claim.created_by, claim.subject].add(claim.technique_id)
    alike: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for (created_by, subject), ids in techniques.items():
        alike[created_by, frozenset(ids)].append(subject)
    blanket = {
        subject
        for (_, ids), subjects in alike.items()
        if len(subjects) >= _BLANKET_SUBJECTS and len(ids) >= _BLANKET_TECHNIQUES
        for subject in subjects
    }
    return [
        _reported(claim, graph) if claim.subject in blanket and not claim.procedure else claim
        for claim in claims
    ]


def _reported(claim: _Claim, graph: IntelGraph) -> _Claim:
    reports = (graph.objects.get(s.object_id) for s in claim.sources)
    actors = {graph.actor_of(r) for r in reports if r is not None and r.id in graph.refs} - {""}
    actor_id = actors.pop() if len(actors) == 1 else ""
    return replace(
        claim,
        actor=graph.name(actor_id),
        actor_type=object_type(actor_id) if actor_id else "",
    )


def _fold(claims: Iterable[_Claim]) -> tuple[Behaviour, ...]:
    """One behaviour for each technique, actor and procedure.

    A claim without a procedure joins the first one that has one.
    """
    groups: dict[tuple[str, str, bool], dict[str, list[_Claim]]] = defaultdict(dict)
    for claim in claims:
        key = (claim.technique_id, claim.actor.casefold(), claim.own)
        groups[key].setdefault(claim.procedure, []).append(claim)
    folded: list[Behaviour] = []
    for key in sorted(groups):
        told = groups[key]
        bare = told.pop("", []) if len(told) > 1 else []
        for index, text in enumerate(sorted(told)):
            folded.append(_behaviour(text, told[text] + (bare if index == 0 else [])))
    return tuple(folded)


def _behaviour(text: str, claims: list[_Claim]) -> Behaviour:
    sources = {source for claim in claims for source in claim.sources}
    stated = [claim.confidence for claim in claims if claim.confidence is not None]
    first = min(claims, key=lambda claim: (claim.actor_type, claim.actor))
    return Behaviour(
        technique_id=first.technique_id,
        actor=first.actor,
        actor_type=first.actor_type,
        procedure=text,
        sources=tuple(
            sorted(sources, key=lambda s: (-s.modified.timestamp(), s.object_id, s.feed))
        ),
        sectors=tuple(sorted({s for claim in claims for s in claim.sectors})),
        regions=tuple(sorted({r for claim in claims for r in claim.regions})),
        confidence=max(stated, default=None),
        own=first.own,
        dated=max(claim.dated for claim in claims),
    )
