"""Received rules: Sigma rules that others sent as indicators, to be hunted with as they are."""

import re
from dataclasses import dataclass

import yaml

from huntonce.models.deriving.standing import Claim, claims
from huntonce.models.deriving.text import object_type, plain
from huntonce.models.intel import IntelObject
from huntonce.models.ports import UnitOfWork
from huntonce.models.stages.kit import Kit

_TAG = re.compile(r"attack\.(t[0-9]{4}(?:\.[0-9]{3})?)", re.ASCII | re.IGNORECASE)
_TYPES = ("indicator", "sighting", "opinion", "relationship")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRule:
    """A Sigma rule of others.

    Attributes:
        ids: STIX ids of the indicators that carry it, the newest first.
        rule: Its YAML, as received; not checked yet.
        techniques: ATT&CK ids that it is about: by the indicators' relationships and references,
            and by the rule's own tags.
        confidence: How far to trust a hit of it, 0..1.
        faults: What is wrong with it; empty where it can be run.
    """

    ids: tuple[str, ...]
    name: str
    rule: str
    techniques: tuple[str, ...]
    feeds: tuple[str, ...]
    confidence: float
    faults: tuple[str, ...] = ()


def received_rules(kit: Kit, technique_id: str = "") -> tuple[ReceivedRule, ...]:
    """Rules in force that others sent, for one technique or all; the most trusted first.

    Our own, come back, are left out: the detections that they were made of stand guard.
    """
    return tuple(
        ReceivedRule(
            ids=claim.ids,
            name=claim.name,
            rule=claim.pattern,
            techniques=techniques,
            feeds=claim.feeds,
            confidence=claim.confidence,
            faults=kit.check_rule(claim.pattern),
        )
        for claim, techniques in _claims(kit)
        if claim.pattern_type == "sigma" and _covers(techniques, technique_id)
    )


def indicators_for(kit: Kit, technique_id: str) -> frozenset[str]:
    """Ids of others' indicators in force, rules and values, that are about a technique."""
    return frozenset(
        name
        for claim, techniques in _claims(kit)
        if _covers(techniques, technique_id)
        for name in claim.ids
    )


def _claims(kit: Kit) -> list[tuple[Claim, tuple[str, ...]]]:
    """Others' indicators in force, each with the techniques that it is about."""
    with kit.open_unit() as unit:
        objects = [
            item
            for item in unit.intel.latest(*_TYPES)
            if item.type != "indicator" or item.created_by != kit.own_identity
        ]
        held = {item.id: item for item in objects if item.type == "indicator"}
        feeds = {name: unit.intel.feeds(name) for name in held}
        found, _ = claims(objects, feeds, kit.clock())
        return [(claim, _techniques(unit, kit, claim, held)) for claim in found]


def _covers(techniques: tuple[str, ...], wanted: str) -> bool:
    """Whether a rule is about a technique or, where a whole one is asked for, a part of it."""
    name = wanted.upper()
    return not name or any(one == name or one.startswith(f"{name}.") for one in techniques)


def _techniques(
    unit: UnitOfWork, kit: Kit, claim: Claim, held: dict[str, IntelObject]
) -> tuple[str, ...]:
    ids = {technique for name in claim.ids for technique in _references(held[name])}
    for target in claim.targets:
        if object_type(target) == "attack-pattern":
            pattern = unit.intel.get(target)
            known = kit.catalogue.by_stix_id(target)
            ids |= set(_references(pattern)) if pattern else set()
            ids |= {known.id} if known else set()
    if claim.pattern_type == "sigma":
        ids |= _tagged(claim.pattern)
    answers = (kit.catalogue.resolve(one) for one in sorted(ids))
    return tuple(dict.fromkeys(answer.id for answer in answers if answer.usable))


def _references(item: IntelObject) -> tuple[str, ...]:
    listed = item.content.get("external_references")
    return tuple(
        plain(entry.get("external_id")).upper()
        for entry in (listed if isinstance(listed, (list, tuple)) else ())
        if isinstance(entry, dict) and plain(entry.get("source_name")) == "mitre-attack"
    )


def _tagged(rule: str) -> set[str]:
    """Techniques of a rule's tags; none where it is not even YAML: the check says so."""
    try:
        document = yaml.safe_load(rule)
    except (yaml.YAMLError, RecursionError, ValueError):
        return set()
    tags = document.get("tags") if isinstance(document, dict) else None
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return {match[1].upper() for match in map(_TAG.fullmatch, words) if match}
