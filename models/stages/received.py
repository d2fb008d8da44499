"""Received rules: Sigma rules that others sent as indicators, to be hunted with as they are."""

import re
from dataclasses import dataclass, replace
from typing import cast

from huntonce.models.deriving.standing import Claim, claims
from huntonce.models.deriving.text import object_type, plain
from huntonce.models.ids import digest
from huntonce.models.intel import IntelObject
from huntonce.models.keeping import UnitOfWork
from huntonce.models.rules import Origin, RuleText
from huntonce.models.stages.kit import Kit
from huntonce.models.tlp import tightest

_TAG = re.compile(r"attack\.(t[0-9]{4}(?:\.[0-9]{3})?)", re.ASCII | re.IGNORECASE)
_TYPES = ("indicator", "sighting", "opinion", "relationship")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRule:
    """A Sigma rule of others.

    Attributes:
        text: The rule as received, read; its fault says why it is not run.
        origin: Who sent it, as what, and its marking.
        techniques: ATT&CK ids that it is about: by the indicators' relationships and references,
            and by the rule's own tags.
        confidence: How far to trust a hit of it, 0..1.
    """

    text: RuleText
    origin: Origin
    techniques: tuple[str, ...]
    confidence: float


def received_rules(kit: Kit, technique_id: str = "") -> tuple[ReceivedRule, ...]:
    """Rules in force that others sent, for one technique or all; the most trusted first.

    Our own, come back, are left out: the detections that they were made of stand guard.
    """
    return tuple(rule for rule in _all(kit) if _covers(rule.techniques, technique_id))


def received_version(kit: Kit, technique_id: str) -> str:
    """Hash of what the received rules for a technique search for; "" where there are none."""
    rules = received_rules(kit, technique_id)
    return digest(sorted({rule.text.fingerprint for rule in rules}))[:16] if rules else ""


def _all(kit: Kit) -> tuple[ReceivedRule, ...]:
    """Every received rule; kept as long as the stored intel is the same, a minute at most."""
    with kit.open_unit() as unit:
        revision = unit.intel.revision()
    now = kit.clock().replace(second=0, microsecond=0)
    key = (kit.open_unit, revision, now, kit.own_identities, kit.catalogue.version)
    held = kit.memo.get("received")
    if isinstance(held, tuple) and held[0] == key:
        return cast("tuple[ReceivedRule, ...]", held[1])
    found = _read(kit)
    kit.memo["received"] = (key, found)
    return found


def _read(kit: Kit) -> tuple[ReceivedRule, ...]:
    return tuple(
        ReceivedRule(
            text=replace(text, title=plain(text.title) or plain(claim.name)),
            origin=Origin(
                feeds=claim.feeds,
                ids=claim.ids,
                tlp=tightest((item.tlp for item in items), kit.policy.default_tlp),
            ),
            techniques=techniques,
            confidence=claim.confidence,
        )
        for claim, techniques, items, text in _claims(kit)
        if text is not None
    )


def indicators_for(kit: Kit, technique_id: str) -> frozenset[str]:
    """Ids of others' indicators in force, rules and values, that are about a technique."""
    return frozenset(
        name
        for claim, techniques, _, _ in _claims(kit)
        if _covers(techniques, technique_id)
        for name in claim.ids
    )


def _claims(
    kit: Kit,
) -> list[tuple[Claim, tuple[str, ...], list[IntelObject], RuleText | None]]:
    """Others' indicators in force, each with its techniques, objects and, of a rule, its text."""
    with kit.open_unit() as unit:
        objects = [
            item
            for item in unit.intel.latest(*_TYPES)
            if item.type != "indicator" or item.created_by not in kit.own_identities
        ]
        held = {item.id: item for item in objects if item.type == "indicator"}
        feeds = unit.intel.feeds_of(held)
        found, _ = claims(objects, feeds, kit.clock())
        answer = []
        for claim in found:
            text = kit.read_rule(claim.pattern) if claim.pattern_type == "sigma" else None
            items = [held[name] for name in claim.ids]
            answer.append((claim, _techniques(unit, kit, claim, items, text), items, text))
        return answer


def _covers(techniques: tuple[str, ...], wanted: str) -> bool:
    """Whether a rule is about a technique or, where a whole one is asked for, a part of it."""
    name = wanted.upper()
    return not name or any(one == name or one.startswith(f"{name}.") for one in techniques)


def _techniques(
    unit: UnitOfWork, kit: Kit, claim: Claim, items: list[IntelObject], text: RuleText | None
) -> tuple[str, ...]:
    ids = {technique for item in items for technique in _references(item)}
    for target in claim.targets:
        if object_type(target) == "attack-pattern":
            pattern = unit.intel.get(target)
            known = kit.catalogue.by_stix_id(target)
            ids |= set(_references(pattern)) if pattern else set()
            ids |= {known.id} if known else set()
    if text is not None:
        ids |= {match[1].upper() for match in map(_TAG.fullmatch, text.tags) if match}
    answers = (kit.catalogue.resolve(one) for one in sorted(ids))
    return tuple(dict.fromkeys(answer.id for answer in answers if answer.usable))


def _references(item: IntelObject) -> tuple[str, ...]:
    listed = item.content.get("external_references")
    return tuple(
        plain(entry.get("external_id")).upper()
        for entry in (listed if isinstance(listed, (list, tuple)) else ())
        if isinstance(entry, dict) and plain(entry.get("source_name")) == "mitre-attack"
    )
