"""Ports of intake: where intel comes from, and how the store keeps it and what was refused of it.

``ports`` has the other ports, and the unit of work that these are part of.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from typing_extensions import override

from huntonce.models.intel import AddCounts, FeedFailure, FeedHealth, IntelObject
from huntonce.models.setaside import InputKind, SetAside

NOTHING: Mapping[str, int] = MappingProxyType({})


class IntelBatch(Protocol):
    """One page or file of intel."""

    @property
    def objects(self) -> Sequence[IntelObject]:
        """What passed the checks."""
        ...

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """What did not."""
        ...

    @property
    def cursor(self) -> str | None:
        """Set on the last batch of a complete pull only: where the next one starts."""
        ...

    @property
    def skipped(self) -> int:
        """How many objects the source's own filters kept out."""
        ...

    @property
    def digest(self) -> str:
        """Hash of the delivery's bytes; "" where it cannot come again as it is."""
        ...

    @property
    def unread(self) -> int:
        """Objects of a delivery that is held whole and was not read again."""
        ...


class IntelSource(Protocol):
    """Somewhere intel comes from."""

    @property
    def name(self) -> str:
        """Registered name of the feed."""
        ...

    @property
    def selection(self) -> str:
        """What it selects (address, filters): a stored cursor counts for the same one only."""
        ...

    def pull(
        self, cursor: str | None, *, whole: Mapping[str, int] = NOTHING
    ) -> Iterator[IntelBatch]:
        """Batches after a cursor (None = from the start), in the source's order.

        ``whole`` has the hashes of deliveries that are held whole already, with their number of
        objects: those need not be read again.

        Raises:
            TransientError, TerminalError: The source could not be read; batches already yielded
                stand, the cursor does not move.
        """
        ...


class IntelRepository(Protocol):
    """Intel objects, whole, every version, with where each came from."""

    def add(self, objects: Iterable[IntelObject], *, feed: str, at: datetime) -> AddCounts:
        """Store versions not yet held; the same version again only adds its feed."""
        ...

    def latest(self, *types: str, revoked: bool = False) -> Iterator[IntelObject]:
        """The newest version of each object, of the given types or all.

        Those that their makers have revoked are left out, unless ``revoked``.
        """
        ...

    def get(self, object_id: str) -> IntelObject | None:
        """The newest version."""
        ...

    def feeds(self, object_id: str) -> tuple[str, ...]:
        """Feeds that delivered any version of it."""
        ...

    def feeds_of(self, object_ids: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """The same for many at once; an object that is not held has no entry."""
        ...

    def creators(self, object_ids: Iterable[str]) -> Mapping[str, str]:
        """Who made each object that is held: as its first version says, "" where it does not."""
        ...

    def revision(self) -> int:
        """A number that grows with every version that is stored."""
        ...

    def cursor(self, feed: str) -> str | None: ...

    def set_cursor(self, feed: str, cursor: str) -> None: ...


class FeedRepository(Protocol):
    """How each feed of intel does: what it brought, and where it fails."""

    def began(self, feed: str, *, selection: str, at: datetime) -> None:
        """A pull begins; where ``selection`` is another than before, the cursor is dropped."""
        ...

    def delivered(
        self, feed: str, counts: AddCounts, *, set_aside: int = 0, skipped: int = 0
    ) -> None:
        """Add what a batch brought to the totals."""
        ...

    def took_whole(self, feed: str, digest: str, *, objects: int, at: datetime) -> None:
        """A delivery with this hash passed whole."""
        ...

    def whole(self, feed: str) -> Mapping[str, int]:
        """Hash to number of objects of the deliveries that passed whole."""
        ...

    def ended(self, feed: str, *, at: datetime) -> None:
        """A pull came to its end."""
        ...

    def failed(self, feed: str, failure: FeedFailure, *, at: datetime) -> None:
        """A pull ended early."""
        ...

    def health(self) -> tuple[FeedHealth, ...]:
        """Every feed that was pulled or delivered anything, by name."""
        ...


class SetAsideRepository(Protocol):
    """Refused input, kept to be looked at again."""

    def add(self, items: Iterable[SetAside], *, at: datetime) -> int:
        """Record; the same refusal twice is one row. Returns how many were new."""
        ...

    def list(self, kind: InputKind | None = None) -> tuple[SetAside, ...]:
        """What waits, of one kind of input or of all."""
        ...


class KeptRefusal(Protocol):
    """A refusal as the store keeps it."""

    @property
    def number(self) -> int: ...
    @property
    def item(self) -> SetAside: ...
    @property
    def feed(self) -> str: ...
    @property
    def tried_at(self) -> datetime | None: ...
    @property
    def taken_at(self) -> datetime | None: ...


class Quarantine(SetAsideRepository, Protocol):
    """The same, with who delivered it, to be tried again."""

    @override
    def add(self, items: Iterable[SetAside], *, at: datetime, feed: str = "") -> int:
        """Record what a feed delivered; the same refusal twice is one row."""
        ...

    def kept(self, kind: InputKind | None = None, *, taken: bool = False) -> Sequence[KeptRefusal]:
        """What waits; or, with ``taken``, what passed when it was tried again."""
        ...

    def taken(self, number: int, *, at: datetime) -> None:
        """It passed."""
        ...

    def refused_again(self, number: int, item: SetAside, *, at: datetime) -> None:
        """It was tried and did not pass, now for the reason of ``item``."""
        ...
