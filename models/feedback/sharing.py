"""Which objects may go to a destination, and in what form.

The level of an object is the tightest of its own markings and of the foreign objects that it
names. An object above a destination's ceiling stays here, and so does every object that cannot do
without it; a list of references merely loses the entry. Whatever names something internal stays
here too, whatever its marking.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from huntonce.models.errors import DomainError
from huntonce.models.feedback.leaks import Leaks
from huntonce.models.ids import stix_id
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.tlp import MARKINGS, Levels, Tlp, effective_tlp, marking_levels, tightest

_DROPPABLE = ("object_refs", "observed_data_refs", "where_sighted_refs")
_REQUIRED_LISTS = {"report", "note", "opinion", "grouping"}
# Objects that are there for others to point at: alone they are not worth sending.
_SUPPORT = frozenset({"identity", "marking-definition", "extension-definition", "attack-pattern"})
_MARKS = ("object_marking_refs", "granular_markings")
_NOT_TEXT = frozenset({"id", "type", "spec_version", "created", "modified", "pattern_type"})


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
    """

    destination: str
    max_tlp: Tlp
    leaks: Leaks = field(default_factory=Leaks)
    levels: Mapping[str, Tlp] = field(default_factory=dict)
    default_tlp: Tlp = Tlp.AMBER
    markings: Levels = field(default_factory=lambda: MARKINGS)
    own_name: str = ""


def plan_publications(
    bodies: Sequence[str], rules: SharingRules, *, subject: str
) -> tuple[Publication, ...]:
    """One publication for each object (JSON text), in their order.

    Each is planned, skipped_tlp or rejected_field, with the reason. No planned one refers to an
    object that is held back.

    Raises:
        DomainError: A body is not a STIX object.
    """
    contents = [_content(body) for body in bodies]
    rules = replace(rules, markings={**marking_levels(contents), **rules.markings})
    held = _closure(contents, _held_for_itself(contents, rules), rules)
    _hold_idle(contents, held)
    leaving = [content for content in contents if str(content["id"]) not in held]
    sent = _rewritten(leaving, {*held, *_foreign(rules)})
    result = []
    for body, content in zip(bodies, contents, strict=True):
        new = sent.get(str(content["id"]), content)
        text = body if new == content else json.dumps(new, ensure_ascii=False)
        state, why = held.get(str(content["id"]), (PublicationState.PLANNED, ""))
        result.append(_publication(new, text, rules, subject=subject, state=state, why=why))
    return tuple(result)


_Held = dict[str, tuple[PublicationState, str]]


def _held_for_itself(contents: Sequence[dict[str, object]], rules: SharingRules) -> _Held:
    held: _Held = {}
    for content in contents:
        level = _level(content, rules)
        if level.rank > rules.max_tlp.rank:
            why = f"TLP:{level.upper()} is above the destination's TLP:{rules.max_tlp.upper()}"
            held[str(content["id"])] = (PublicationState.SKIPPED_TLP, why)
            continue
        for place, text in _leaves(content):
            own = content["type"] == "identity" and text == rules.own_name
            found = "" if own else rules.leaks.find(text)
            if found:
                why = f"{place} names something internal: {found}"
                held[str(content["id"])] = (PublicationState.REJECTED_FIELD, why)
                break
    return held


def _closure(contents: Sequence[dict[str, object]], held: _Held, rules: SharingRules) -> _Held:
    """Hold back, too, what cannot do without something that is held back."""
    foreign = dict.fromkeys(_foreign(rules), (PublicationState.SKIPPED_TLP, ""))
    grown = True
    while grown:
        grown = False
        for content in contents:
            identity = str(content["id"])
            lost = None if identity in held else _loss(content, {**foreign, **held})
            if lost is not None:
                state = {**foreign, **held}[lost][0]
                held[identity] = (state, f"refers to {lost}, which is held back")
                grown = True
    return held


def _loss(content: Mapping[str, object], held: Mapping[str, object]) -> str | None:
    """A reference to something held back that the object cannot drop."""
    for name, ref in _refs(content):
        if ref in held and name not in _DROPPABLE:
            return ref
    refs = content.get("object_refs")
    needs = content["type"] in _REQUIRED_LISTS or "objects" not in content
    if isinstance(refs, list) and refs and needs and all(ref in held for ref in refs):
        return str(refs[0])
    return None


def _hold_idle(contents: Sequence[dict[str, object]], held: _Held) -> None:
    """Hold back supporting objects that nothing on its way out needs."""
    leaving = [content for content in contents if str(content["id"]) not in held]
    needed: set[str] = set()
    for content in leaving:
        if content["type"] not in _SUPPORT:
            needed |= {ref for _, ref in _refs(content)} | set(_markings(content))
    for content in leaving:
        if str(content["id"]) in needed:
            needed |= {ref for _, ref in _refs(content)} | set(_markings(content))
    for content in leaving:
        if content["type"] in _SUPPORT and str(content["id"]) not in needed:
            why = "nothing that leaves needs it"
            held[str(content["id"])] = (PublicationState.SKIPPED_TLP, why)


def _rewritten(
    leaving: Sequence[dict[str, object]], forbidden: set[str]
) -> dict[str, dict[str, object]]:
    """What leaves, by its id before, without references to what is held back.

    A shortened report is not the same version of the same report: it gets an id of its own, and
    so does what points at it.
    """
    sent = {str(content["id"]): _without(content, forbidden) for content in leaving}
    renames = {
        str(content["id"]): _new_id(content, sent[str(content["id"])].get("object_refs"))
        for content in leaving
        if content["type"] in _REQUIRED_LISTS and sent[str(content["id"])] is not content
    }
    grown = bool(renames)
    while grown:
        grown = False
        for old, content in sent.items():
            aims = sorted({renames[ref] for _, ref in _refs(content) if ref in renames} - {old})
            if aims and old not in renames:
                renames[old] = _new_id(content, aims)
                grown = True
    return {old: _renamed(content, renames) for old, content in sent.items()}


def _new_id(content: Mapping[str, object], refs: object) -> str:
    return stix_id(str(content["type"]), content["id"], refs)


def _renamed(content: dict[str, object], renames: Mapping[str, str]) -> dict[str, object]:
    if not renames:
        return content
    new = dict(content)
    for name, value in content.items():
        if name == "id" or name.endswith("_ref"):
            new[name] = renames.get(str(value), value)
        elif name.endswith("_refs") and isinstance(value, list):
            new[name] = [renames.get(str(ref), ref) for ref in value]
    return new


def _without(content: dict[str, object], forbidden: set[str]) -> dict[str, object]:
    kept = {
        name: [ref for ref in refs if ref not in forbidden]
        for name in _DROPPABLE
        if isinstance(refs := content.get(name), list)
    }
    if all(kept[name] == content[name] for name in kept):
        return content
    changed = {**content, **kept}
    for name in [name for name, refs in kept.items() if not refs]:
        del changed[name]
    return changed


def _publication(
    content: Mapping[str, object],
    body: str,
    rules: SharingRules,
    *,
    subject: str,
    state: PublicationState,
    why: str,
) -> Publication:
    return Publication(
        destination=rules.destination,
        object_id=str(content["id"]),
        object_type=str(content["type"]),
        version=str(content.get("modified") or content.get("created") or ""),
        name=str(content.get("name") or content.get("relationship_type") or content["type"]),
        tlp=_level(content, rules),
        body=body,
        subject=subject,
        state=state,
        why=why,
    )


def _level(content: Mapping[str, object], rules: SharingRules) -> Tlp:
    if content["type"] in {"marking-definition", "extension-definition"}:
        return Tlp.CLEAR  # a definition of the standard says nothing
    own = effective_tlp(content, rules.default_tlp, rules.markings)
    needed = [
        rules.levels[ref]
        for name, ref in _refs(content)
        if ref in rules.levels and name not in _DROPPABLE
    ]
    return tightest([own, *needed], own)


def _foreign(rules: SharingRules) -> list[str]:
    """Objects that must not even be named at the destination."""
    return [ref for ref, level in rules.levels.items() if level.rank > rules.max_tlp.rank]


def _content(body: str) -> dict[str, object]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DomainError(f"not a STIX object: {error}") from error
    if not isinstance(content, dict) or not {"id", "type"} <= content.keys():
        raise DomainError("not a STIX object: it has no id or no type")
    return content


def _refs(content: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every reference in an object with the property it stands in, markings left out."""
    for place, text in _strings(content):
        name = place.rpartition(".")[2]
        if name.endswith(("_ref", "_refs")) and not place.startswith(_MARKS):
            yield name, text


def _markings(content: Mapping[str, object]) -> list[str]:
    return _texts(content.get("object_marking_refs"))


def _leaves(content: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every text of an object with its place, ids and references left out."""
    for place, text in _strings(content):
        name = place.rpartition(".")[2]
        if name not in _NOT_TEXT and not name.endswith(("_ref", "_refs")):
            yield place, text


def _strings(content: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every text of an object with its place ("a.b"), in order."""
    waiting: list[tuple[str, object]] = [("", content)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, Mapping):
            parts = [(f"{place}.{key}" if place else str(key), v) for key, v in value.items()]
            waiting.extend(reversed(parts))
        elif isinstance(value, list):
            waiting.extend((place, below) for below in reversed(value))


def _texts(values: object) -> list[str]:
    return [v for v in values if isinstance(v, str)] if isinstance(values, list) else []
