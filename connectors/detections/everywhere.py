"""One detection in several stores: kept as code in the first, deployed to the others as well."""

from collections.abc import Callable, Mapping, Sequence

from huntonce.models.ports import DetectionStore


class Everywhere:
    """The first store, with others that get the same.

    What is asked is asked of the first. A deployment or retirement is done when all have it: each
    store takes the same content twice as once, so that a repeated one mends what an outage cut.

    Args:
        first: Where detections are kept as code.
        others: Make the other stores, when they are needed.
    """

    def __init__(
        self, first: DetectionStore, others: Sequence[Callable[[], DetectionStore]]
    ) -> None:
        self._first = first
        self._makers = others
        self._made: tuple[DetectionStore, ...] | None = None

    @property
    def name(self) -> str:
        """The first store's."""
        return self._first.name

    def find(self, key: str) -> str | None:
        """The id in the first store."""
        return self._first.find(key)

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write the detection to every store; its id in the first."""
        remote_id = self._first.deploy(key, detection)
        for store in self._others():
            store.deploy(key, detection)
        return remote_id

    def retire(self, remote_id: str) -> None:
        """Retire the rule in every store that has it, in the first last: it is looked up there."""
        for store in self._others():
            theirs = store.find(remote_id)
            if theirs is not None:
                store.retire(theirs)
        self._first.retire(remote_id)

    def __getattr__(self, name: str) -> object:
        """What else the first store can do (being read back) it can do here."""
        return getattr(self._first, name)

    def _others(self) -> tuple[DetectionStore, ...]:
        if self._made is None:
            self._made = tuple(make() for make in self._makers)
        return self._made
