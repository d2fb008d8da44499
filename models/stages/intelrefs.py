"""Stored intel objects as the sources of something that was made from them."""

from collections.abc import Iterable

from huntonce.models.deriving.text import moment, plain
from huntonce.models.intel import SourceRef
from huntonce.models.keeping import UnitOfWork


def sources_of(unit: UnitOfWork, object_ids: Iterable[str]) -> tuple[SourceRef, ...]:
    """The objects that are stored, each once for every feed that delivered it."""
    ids = tuple(dict.fromkeys(object_ids))
    delivered = unit.intel.feeds_of(ids)
    found = (unit.intel.get(object_id) for object_id in ids)
    return tuple(
        SourceRef(
            object_id=item.id,
            object_type=item.type,
            name=plain(item.content.get("name")) or item.id,
            feed=feed,
            tlp=item.tlp,
            modified=moment(item.version),
        )
        for item in found
        if item is not None
        for feed in delivered.get(item.id, ("",))
    )
