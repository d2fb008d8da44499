"""Threat intelligence as it is kept, and what it says about behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from huntonce.models.tlp import Tlp

StixDict = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelObject:
    """One version of one STIX object, whole.

    Attributes:
        id: STIX id.
        type: STIX type.
        version: ``modified``, else ``created``, as the text received; "" for objects that
            have neither (SCOs, some markings). ``(id, version)`` is the identity.
        revoked: The version withdraws the object.
        tlp: Effective marking, the tightest of its own (or the configured default).
        body: The object's JSON as received, byte for byte.
        content: The same, parsed.
    """

    id: str
    type: str
    spec_version: str
    version: str
    created_by: str
    revoked: bool
    tlp: Tlp
    body: bytes
    content: StixDict


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCounts:
    """What became of a batch of objects: first seen, a newer version, already held."""

    new: int = 0
    updated: int = 0
    duplicate: int = 0

    @property
    def objects(self) -> int:
        """All objects of the batch."""
        return self.new + self.updated + self.duplicate

    def __add__(self, other: "AddCounts") -> "AddCounts":
        return AddCounts(
            new=self.new + other.new,
            updated=self.updated + other.updated,
            duplicate=self.duplicate + other.duplicate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """Where a claim comes from: the intel object and the feed that delivered it."""

    object_id: str
    object_type: str
    name: str
    feed: str
    tlp: Tlp
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One claim of intelligence: an actor, tool or report uses a technique, by this procedure.

    Attributes:
        technique_id: ATT&CK id as claimed ("T1053.005"), already resolved through revocations.
        actor: Name of who or what does it ("COPPER HERON"); "" where intel names nobody.
        actor_type: STIX type of that subject, or "" .
        procedure: Free text of how it is done; may be "".
        own: True where the claim is from our own IR feedback.
        confidence: 0..100 as STIX has it; None where unstated.
    """

    technique_id: str
    actor: str
    actor_type: str
    procedure: str
    sources: tuple[SourceRef, ...]
    sectors: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    confidence: int | None = None
    own: bool = False
