"""Threat intelligence as it is kept, and what it says about behaviour."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

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
        original: The bytes as received, where ``body`` is their upgrade from STIX 2.0; else empty.
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
    original: bytes = field(default=b"", compare=False)


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


class Fault(StrEnum):
    """Whose fault a failed pull is."""

    SERVER = "server"  # it is down, slow, or does not keep to the protocol
    QUERY = "query"  # it works; our request or our settings are wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFailure:
    """Why a pull ended early."""

    error: str
    hint: str
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHealth:
    """How a feed of intel does, over all pulls.

    Attributes:
        pulls: How many were begun.
        last_pull, last_success, last_failure: When one began, came to its end, failed.
        failures: How many failed since the last success.
        failure: Why the last one that failed did; None where none has since the last success.
        totals: What became of all objects that it delivered and that passed the checks.
        set_aside: How many were refused, each counted once.
        skipped: How many its filters kept out.
        cursor: Where the next pull starts.
        held: Versions that it delivered and the store holds.
        indicators, claims: Distinct indicators of those, and distinct claims that they make:
            indicators with the same pattern make one claim, whatever their ids.
        shared_claims: Claims that other feeds make, too.
    """

    feed: str
    pulls: int = 0
    last_pull: datetime | None = None
    last_success: datetime | None = None
    last_failure: datetime | None = None
    failures: int = 0
    failure: FeedFailure | None = None
    totals: AddCounts = AddCounts()
    set_aside: int = 0
    skipped: int = 0
    cursor: str | None = None
    held: int = 0
    indicators: int = 0
    claims: int = 0
    shared_claims: int = 0

    @property
    def duplicate_rate(self) -> float | None:
        """Part of the delivered objects that were held already, 0..1; None before the first."""
        return self.totals.duplicate / self.totals.objects if self.totals.objects else None

    @property
    def state(self) -> str:
        """``ok``, ``failing``, ``interrupted`` (begun, and neither ended nor failed) or ``new``."""
        if self.last_pull is None:
            return "new"
        if self.failure is not None:
            return "failing"
        done = self.last_success is not None and self.last_success >= self.last_pull
        return "ok" if done else "interrupted"


_QUOTED = re.compile(r"('(?:[^'\\]|\\.)*')")
_SPACE = re.compile(r"\s+")
_BESIDE = re.compile(r" ?([\[\]()=<>!,:]+) ?")
_ONE_BRACKET = re.compile(r"\[([^\[\]]*)\]")


def claim_key(content: StixDict) -> str:
    """What an indicator claims, as a hash: the same for the same pattern under another id.

    The pattern counts without the white space between its parts, and comparisons that are joined
    by OR alone, or by AND alone, count in any order. "" for what is no indicator.
    """
    pattern, kind = content.get("pattern"), content.get("pattern_type")
    if content.get("type") != "indicator" or not isinstance(pattern, str):
        return ""
    text = _normal(pattern) if kind == "stix" else pattern.strip()
    return hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _normal(pattern: str) -> str:
    # Every second part is a quoted text, which stays as it is.
    parts = _QUOTED.split(pattern.strip())
    texts = parts[1::2]
    plain = [_BESIDE.sub(r"\1", _SPACE.sub(" ", part)) for part in parts[::2]]
    # Quoted texts are out of the way while the words between them are looked at.
    frame = "\0".join(plain)
    inner = _ONE_BRACKET.fullmatch(frame)
    for word in (" OR ", " AND "):
        other = " AND " if word == " OR " else " OR "
        if inner and word in inner[1] and other not in inner[1] and not set("()") & set(inner[1]):
            waiting = iter(texts)
            filled = [_filled(one.strip(), waiting) for one in inner[1].split(word)]
            return f"[{word.join(sorted(set(filled)))}]"
    return _filled(frame, iter(texts))


def _filled(frame: str, texts: Iterator[str]) -> str:
    head, *rest = frame.split("\0")
    return head + "".join(f"{next(texts, '')}{part}" for part in rest)


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
        dated: When it was last seen or, where intel does not say, first reported. Not when an
            object was last touched: catalogues touch all of theirs with every release.
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
    dated: datetime | None = None
