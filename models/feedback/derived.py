"""What an object was derived from, and how closed that makes it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from huntonce.models.tlp import Tlp

_DERIVING = frozenset({"derived-from", "based-on"})


def derived_levels(
    contents: Sequence[Mapping[str, object]], levels: Mapping[str, Tlp]
) -> dict[str, tuple[Tlp, str]]:
    """For each object the tightest level of all that it was derived from, and what has it.

    ``contents`` are the objects with the relationships among them and to others; ``levels`` the
    markings by id. An object that was derived from nothing has its own level and "" for a cause.
    """
    aims: dict[str, set[str]] = defaultdict(set)
    for content in contents:
        if content.get("relationship_type") in _DERIVING:
            aims[str(content.get("source_ref"))].add(str(content.get("target_ref")))
    found: dict[str, tuple[Tlp, str]] = {}
    for content in contents:
        name = str(content["id"])
        found[name] = max(
            ((levels[one], one) for one in _behind(name, aims) if one in levels),
            key=lambda pair: (pair[0].rank, pair[1]),
            default=(levels.get(name, Tlp.CLEAR), ""),
        )
    return found


def _behind(name: str, aims: Mapping[str, set[str]]) -> set[str]:
    """All that an object was derived from, through any number of steps; never itself."""
    seen: set[str] = set()
    waiting = [*aims.get(name, ())]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(aims.get(one, ()))
    return seen - {name}
