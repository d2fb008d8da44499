"""What every stored thing of the domain has in common: an id, a natural key, a state."""

from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """The kinds of thing that the store keeps, with the prefix of their short ids as value."""

    HYPOTHESIS = "H"
    HUNT = "HUNT"
    GAP = "GAP"
    FINDING = "F"
    DETECTION = "D"
    ALERT = "ALERT"
    CASE = "CASE"
    PROPOSAL = "P"
    PUBLICATION = "PUB"


class Entity(Protocol):
    """A value with an identity.

    Attributes:
        id: Short id that people read ("GAP-3"); empty until the store gave one.
        key: Natural key, unique within the kind; writing the same key twice is one thing.
    """

    @property
    def id(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def state(self) -> StrEnum: ...
