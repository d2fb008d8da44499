"""Others' answers to what we published: they saw it, too, they know more of it, they link it.

What we published says nothing new to us when it comes back. What others say about it does: it is a
claim about the techniques that our object stands for.
"""

from collections import defaultdict
from collections.abc import Iterator

from huntonce.models.deriving.graph import ACTOR_TYPES, IntelGraph
from huntonce.models.deriving.text import object_type, plain, reference, references
from huntonce.models.intel import IntelObject

_STANDS_FOR = {"indicates", "uses", "related-to"}
_ENDS = (("source_ref", "target_ref"), ("target_ref", "source_ref"))


def answers(graph: IntelGraph, own: str) -> Iterator[tuple[IntelObject, str, str]]:
    """Others' objects about ours: the object, an attack-pattern, and an actor that it names or "".

    Sightings with a count, notes and relationships answer; a sighting with count 0 and an opinion
    do not say that anything is there.
    """
    ours = {item.id for item in graph.objects.values() if own and item.created_by == own}
    if not ours:
        return
    patterns = _patterns(graph, ours)
    for item in graph.objects.values():
        if item.created_by == own or item.type not in {"sighting", "note", "relationship"}:
            continue
        for about, actor in _about(item):
            for pattern in sorted(patterns.get(about, ())):
                yield item, pattern, actor


def _patterns(graph: IntelGraph, ours: set[str]) -> dict[str, set[str]]:
    """The attack-patterns that each of our objects stands for, by our own words."""
    found: dict[str, set[str]] = defaultdict(set)
    for edge in graph.relationships:
        if edge.id not in ours:
            continue
        source, target = (reference(edge.content, end) for end in ("source_ref", "target_ref"))
        kind = plain(edge.content.get("relationship_type")).casefold()
        if object_type(target) == "attack-pattern" and kind in _STANDS_FOR and source in ours:
            found[source].add(target)
    for report in graph.reports:
        if report.id in ours:
            named = {r for r in graph.refs[report.id] if object_type(r) == "attack-pattern"}
            found[report.id] |= named
    for item in graph.objects.values():
        if item.id in ours and item.type == "sighting":
            pattern = reference(item.content, "sighting_of_ref")
            if object_type(pattern) == "attack-pattern" and item.content.get("count") != 0:
                found[item.id].add(pattern)
    return found


def _about(item: IntelObject) -> Iterator[tuple[str, str]]:
    """What an object speaks of, and the actor that it brings in."""
    content = item.content
    match item.type:
        case "sighting":
            if content.get("count") != 0:
                yield reference(content, "sighting_of_ref"), ""
        case "note":
            yield from ((about, "") for about in references(content, "object_refs"))
        case _:
            for end, other in _ENDS:
                beside = reference(content, other)
                actor = beside if object_type(beside) in ACTOR_TYPES else ""
                yield reference(content, end), actor
