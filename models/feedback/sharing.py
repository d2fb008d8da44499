"""Which objects may go to a destination, and in what form.

The level of an object is the tightest of its own markings, of the foreign objects that it names,
and of all that it was derived from. An object above a destination's ceiling stays here, and so
does every object that cannot do without it; a list of references merely loses the entry. Whatever
names something internal stays here too, whatever its marking. Only a named person's approval
loosens a marking, of an object of ours.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from huntonce.models.feedback.derived import derived_levels
from huntonce.models.feedback.leaks import Leaks
from huntonce.models.feedback.stixtext import (
    Stix,
    leaves,
    markings,
    read_object,
    refs,
    renamed,
    texts,
    write_object,
)
from huntonce.models.feedback.versions import moved_on
from huntonce.models.ids import stix_id
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.tlp import (
    MARKINGS,
    Levels,
    Tlp,
    effective_tlp,
    marking_definition,
    marking_levels,
    tightest,
)

_DROPPABLE = ("object_refs", "observed_data_refs", "where_sighted_refs")
_REQUIRED_LISTS = {"report", "note", "opinion", "grouping"}
_DEFINITIONS = frozenset({"marking-definition", "extension-definition"})
# Objects that are there for others to point at: alone they are not worth sending.
_SUPPORT = _DEFINITIONS | {"identity", "attack-pattern"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingRules:
    """What one destination may get.

    Attributes:
        destination: Its registered name.
        max_tlp: Its ceiling.
        leaks: What must not be named there.
        levels: TLP of objects that are named but not sent (the source intel), by id; objects
            that are not in here are taken to be public (MITRE's attack-patterns).
        default_tlp: What an unmarked object counts as.
        markings: The markings that are known; those that are to leave are read besides.
        own_name: Our identity's name, which may be named in the identity.
        own_identities: STIX ids of the identities that are ours.
        grants: Markings that a named person approved for objects of ours there, by id.
    """

    destination: str
    max_tlp: Tlp
    leaks: Leaks = field(default_factory=Leaks)
    levels: Mapping[str, Tlp] = field(default_factory=dict)
    default_tlp: Tlp = Tlp.AMBER
    markings: Levels = field(default_factory=lambda: MARKINGS)
    own_name: str = ""
    own_identities: frozenset[str] = frozenset()
    grants: Mapping[str, Tlp] = field(default_factory=dict)


def plan_publications(
    bodies: Sequence[str], rules: SharingRules, *, subject: str
) -> tuple[Publication, ...]:
    """One publication for each object (JSON text), in their order.

    Each is planned, skipped_tlp or rejected_field, with the reason. No planned one refers to an
    object that is held back.

    Raises:
        DomainError: A body is not a STIX object.
    """
    given = [read_object(body) for body in bodies]
    rules = replace(rules, markings={**marking_levels(given), **rules.markings})
    contents = _granted(given, rules)
    texts_of = {
        str(new["id"]): body
        for body, old, new in zip(bodies, given, contents, strict=False)
        if new is old
    }
    loosened = {str(one["id"]) for one in given if granted(one, rules) is not None}
    plan = _Plan(contents, rules, loosened)
    sent = plan.sent()
    result = []
    for content in contents:
        name = str(content["id"])
        new = sent.get(name, content)
        body = texts_of.get(name) if new is content else None
        state, why = plan.held.get(name, (PublicationState.PLANNED, ""))
        result.append(
            Publication(
                destination=rules.destination,
                object_id=str(new["id"]),
                object_type=str(new["type"]),
                version=str(new.get("modified") or new.get("created") or ""),
                name=str(new.get("name") or new.get("relationship_type") or new["type"]),
                tlp=plan.levels[name],
                body=body or write_object(new),
                subject=subject,
                state=state,
                why=why,
            )
        )
    return tuple(result)


def granted(content: Stix, rules: SharingRules) -> Tlp | None:
    """The marking that a person approved for an object; None where nobody did, or it is foreign."""
    level = rules.grants.get(str(content["id"]))
    made_by = content.get("created_by_ref")
    ours = made_by is None or made_by in rules.own_identities
    tight = effective_tlp(content, rules.default_tlp, rules.markings)
    return level if level is not None and ours and level.rank < tight.rank else None


def _granted(contents: Sequence[Stix], rules: SharingRules) -> list[Stix]:
    """The objects under the markings that were approved for them, those markings added."""
    marked = [_remarked(one, granted(one, rules), rules) for one in contents]
    known = {str(one["id"]) for one in marked}
    levels = {level for one in contents if (level := granted(one, rules)) is not None}
    fresh = [
        marking_definition(one)
        for one in sorted(levels, key=lambda one: one.rank)
        if one.marking_id not in known
    ]
    return [*marked, *fresh]


def _remarked(content: Stix, level: Tlp | None, rules: SharingRules) -> Stix:
    if level is None:
        return content
    others = [ref for ref in markings(content) if rules.markings.get(ref) is None]
    parts = content.get("granular_markings")
    kept = [
        one
        for one in (parts if isinstance(parts, list) else ())
        if isinstance(one, dict) and rules.markings.get(str(one.get("marking_ref"))) is None
    ]
    new = {**content, "object_marking_refs": [*others, level.marking_id]}
    if "modified" in content:
        # Elsewhere this version stands under its tighter marking: this is another version.
        new["modified"] = moved_on(content["modified"])
    new.pop("granular_markings", None)
    return {**new, "granular_markings": kept} if kept else new


_Held = dict[str, tuple[PublicationState, str]]


class _Plan:
    """What is held back of some objects, and why."""

    def __init__(
        self, contents: Sequence[Stix], rules: SharingRules, loosened: Container[str]
    ) -> None:
        self.contents = contents
        self.rules = rules
        self.loosened = loosened
        self.foreign = [
            ref for ref, level in rules.levels.items() if level.rank > rules.max_tlp.rank
        ]
        marked = {str(c["id"]): self._marked(c) for c in contents}
        self.known = {**rules.levels, **marked}
        self.derived = derived_levels(contents, self.known)
        self.levels = {str(c["id"]): self._level(c) for c in contents}
        self.held: _Held = {}
        for content in contents:
            fault = self._fault(content)
            if fault is not None:
                self.held[str(content["id"])] = fault
        self._close()
        self._hold_idle()

    def _marked(self, content: Stix) -> Tlp:
        if content["type"] in _DEFINITIONS:
            return Tlp.CLEAR  # a definition of the standard says nothing
        return effective_tlp(content, self.rules.default_tlp, self.rules.markings)

    def _level(self, content: Stix) -> Tlp:
        own = self._marked(content)
        if content["type"] in _DEFINITIONS:
            return own
        known = self.known
        needed = [
            known[ref] for name, ref in refs(content) if ref in known and name not in _DROPPABLE
        ]
        if str(content["id"]) not in self.loosened:
            needed.append(self.derived[str(content["id"])][0])
        return tightest([own, *needed], own)

    def _fault(self, content: Stix) -> tuple[PublicationState, str] | None:
        """What holds an object back by itself."""
        rules, name = self.rules, str(content["id"])
        level = self.levels[name]
        if level.rank > rules.max_tlp.rank:
            why = f"TLP:{level.upper()} is above the destination's TLP:{rules.max_tlp.upper()}"
            cause = self.derived[name][1]
            if cause and level is self.derived[name][0]:
                why += f"; it is derived from {cause}"
            return PublicationState.SKIPPED_TLP, why
        for place, text in leaves(content):
            own = content["type"] == "identity" and text == rules.own_name
            found = "" if own else rules.leaks.find(text)
            if found:
                why = f"{place} names something internal: {found}"
                return PublicationState.REJECTED_FIELD, why
        derived, cause = self.derived[name]
        if cause and name not in self.loosened and derived.rank > self._marked(content).rank:
            why = (
                f"object_marking_refs says TLP:{self._marked(content).upper()}, but it is derived "
                f"from {cause}, which is TLP:{derived.upper()}: mark it so"
            )
            return PublicationState.REJECTED_FIELD, why
        return None

    def _close(self) -> None:
        """Hold back, too, what cannot do without something that is held back."""
        foreign = dict.fromkeys(self.foreign, (PublicationState.SKIPPED_TLP, ""))
        grown = True
        while grown:
            grown = False
            for content in self.contents:
                name = str(content["id"])
                lost = None if name in self.held else _loss(content, {**foreign, **self.held})
                if lost is not None:
                    state = {**foreign, **self.held}[lost][0]
                    self.held[name] = (state, f"refers to {lost}, which is held back")
                    grown = True

    def _hold_idle(self) -> None:
        """Hold back supporting objects that nothing on its way out needs."""
        leaving = [content for content in self.contents if str(content["id"]) not in self.held]
        needed: set[str] = set()
        for content in leaving:
            if content["type"] not in _SUPPORT:
                needed |= {ref for _, ref in refs(content)} | set(markings(content))
        grown = True
        while grown:
            more: set[str] = set()
            for content in leaving:
                if str(content["id"]) in needed:
                    more |= {ref for _, ref in refs(content)} | set(markings(content))
            grown = not more <= needed
            needed |= more
        for content in leaving:
            if content["type"] in _SUPPORT and str(content["id"]) not in needed:
                why = "nothing that leaves needs it"
                self.held[str(content["id"])] = (PublicationState.SKIPPED_TLP, why)

    def sent(self) -> dict[str, Stix]:
        """What leaves, by its id before, without references to what is held back.

        A shortened report is not the same version of the same report: it gets an id of its own,
        and so does what points at it.
        """
        leaving = [content for content in self.contents if str(content["id"]) not in self.held]
        forbidden = {*self.held, *self.foreign}
        sent = {str(content["id"]): _without(content, forbidden) for content in leaving}
        renames = {
            str(content["id"]): _new_id(content, texts(sent[str(content["id"])].get("object_refs")))
            for content in leaving
            if content["type"] in _REQUIRED_LISTS and sent[str(content["id"])] is not content
        }
        grown = bool(renames)
        while grown:
            grown = False
            for old, content in sent.items():
                aims = sorted({renames[ref] for _, ref in refs(content) if ref in renames} - {old})
                if aims and old not in renames:
                    renames[old] = _new_id(content, aims)
                    grown = True
        return {old: renamed(content, renames) for old, content in sent.items()}


def _loss(content: Mapping[str, object], held: Mapping[str, object]) -> str | None:
    """A reference to something held back that the object cannot drop."""
    for name, ref in refs(content):
        # Marks of single entries say which by their place: a shortened list would shift them.
        if ref in held and (name not in _DROPPABLE or content.get("granular_markings")):
            return ref
    listed = texts(content.get("object_refs"))
    needs = content["type"] in _REQUIRED_LISTS or "objects" not in content
    if listed and needs and all(ref in held for ref in listed):
        return listed[0]
    return None


def _new_id(content: Mapping[str, object], names: Iterable[str]) -> str:
    return stix_id(str(content["type"]), content["id"], list(names))


def _without(content: Stix, forbidden: set[str]) -> Stix:
    kept = {
        name: [ref for ref in listed if ref not in forbidden]
        for name in _DROPPABLE
        if isinstance(listed := content.get(name), list)
    }
    if all(kept[name] == content[name] for name in kept):
        return content
    changed = {**content, **kept}
    for name in [name for name, left in kept.items() if not left]:
        del changed[name]
    return changed
