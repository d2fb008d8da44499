"""What is wanted of a source: types, labels, and how closed a marking may be."""

from collections.abc import Iterable
from dataclasses import dataclass

from huntonce.models.intel import IntelObject
from huntonce.models.tlp import Tlp

_ALWAYS = frozenset({"marking-definition", "extension-definition"})
# These carry no labels of their own; without them the labelled ones would stand alone.
_UNLABELLED = frozenset({"relationship", "sighting", "identity", "location", "language-content"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters of one source; a filter that is not set lets everything pass.

    Attributes:
        types: STIX types that are wanted. Marking and extension definitions always come along:
            the others cannot be read without them.
        labels: Of the domain objects (indicators, reports, malware and so on) only those with
            one of these labels, in any case. Relationships, sightings, identities, locations and
            observables come along.
        max_tlp: The most closed marking that is taken in; None: all.
    """

    types: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    max_tlp: Tlp | None = None

    @classmethod
    def of(
        cls, types: Iterable[str] = (), labels: Iterable[str] = (), max_tlp: Tlp | None = None
    ) -> "Selection":
        """A selection from the lists of the settings."""
        return cls(frozenset(types), frozenset(label.casefold() for label in labels), max_tlp)

    @property
    def match_types(self) -> str:
        """The value of TAXII's ``match[type]``; "" for all."""
        return ",".join(sorted(self.types | _ALWAYS)) if self.types else ""

    def wants(self, item: IntelObject) -> bool:
        """Whether an object is taken in."""
        if item.type in _ALWAYS:
            return True
        if self.types and item.type not in self.types:
            return False
        if self.max_tlp is not None and item.tlp.rank > self.max_tlp.rank:
            return False
        return not self.labels or self._labelled(item)

    def _labelled(self, item: IntelObject) -> bool:
        if item.type in _UNLABELLED or not item.version:
            return True
        labels = item.content.get("labels")
        return isinstance(labels, list) and any(
            isinstance(label, str) and label.casefold() in self.labels for label in labels
        )
