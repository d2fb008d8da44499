"""Deriving over real bundles: published intelligence, with the traps that are really in it."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from huntonce.models.attack import Catalogue, load_catalogue, read_catalogue
from huntonce.models.attack_data import pack, trim
from huntonce.models.deriving import Cause, behaviours, derive, outside
from huntonce.models.intel import IntelObject
from huntonce.models.profile import Profile
from huntonce.models.tlp import Tlp
from tests.support.shared import shared_data

pytestmark = [pytest.mark.integration, pytest.mark.shared_data]
CATALOGUE = load_catalogue()
NOW = datetime(2026, 8, 25, tzinfo=UTC)


def objects_of(path: Path) -> Iterator[IntelObject]:
    for item in json.loads(path.read_bytes()).get("objects", ()):
        yield IntelObject(
            id=item["id"],
            type=item["type"],
            spec_version=item.get("spec_version", "2.0"),
            version=item.get("modified", item.get("created", "")),
            created_by=item.get("created_by_ref", ""),
            revoked=item.get("revoked") is True,
            tlp=Tlp.AMBER,
            body=b"",
            content=item,
        )


def bundles() -> list[Path]:
    folder = shared_data("cti")
    return sorted(path for path in folder.rglob("*.json") if path.name != "index.json")


def claims_in(objects: list[IntelObject]) -> set[str]:
    return {
        item.id
        for item in objects
        if item.type == "relationship"
        and item.content["relationship_type"] in {"uses", "indicates"}
        and str(item.content["target_ref"]).startswith("attack-pattern--")
    }


@pytest.fixture(scope="module")
def everything() -> tuple[list[IntelObject], dict[str, set[str]]]:
    feeds: dict[str, set[str]] = defaultdict(set)
    objects: list[IntelObject] = []
    for path in bundles():
        for item in objects_of(path):
            objects.append(item)
            feeds[item.id].add(path.name.partition("-")[0])
    return objects, feeds


def test_every_claim_of_every_bundle_is_placed_or_told(
    everything: tuple[list[IntelObject], dict[str, set[str]]],
) -> None:
    objects, feeds = everything

    found, unplaced = behaviours(objects, CATALOGUE, feeds=lambda i: tuple(sorted(feeds[i])))

    accounted = {source.object_id for behaviour in found for source in behaviour.sources}
    accounted |= {item.object_id for item in unplaced}
    assert claims_in(objects) <= accounted
    assert {item.cause for item in unplaced} <= {Cause.DEPRECATED, Cause.NO_ATTACK_ID}
    assert all(CATALOGUE.resolve(b.technique_id).outcome == "current" for b in found)


def test_many_reports_of_a_technique_become_one_hypothesis(
    everything: tuple[list[IntelObject], dict[str, set[str]]],
) -> None:
    objects, feeds = everything
    found, _ = behaviours(objects, CATALOGUE, feeds=lambda i: tuple(sorted(feeds[i])))
    profile = Profile(platforms=("windows", "linux"))

    hypotheses = derive(
        found, CATALOGUE, profile, guarded=lambda _: None, visible=lambda _: None, now=NOW
    )

    keys = [h.key for h in hypotheses]
    assert len(keys) == len(set(keys))
    assert {h.technique_id for h in hypotheses} | {
        i for i, _ in outside(found, CATALOGUE, profile)
    } == {b.technique_id for b in found}
    task = next(h for h in hypotheses if h.technique_id == "T1053.005")
    assert {"FIN7", "OilRig"} <= set(task.actors)
    assert {"mitre", "unit42", "hledger"} <= {source.feed for source in task.sources}
    assert "scheduled task" in task.statement
    for hypothesis in hypotheses:
        assert "Citation" not in hypothesis.statement
        assert "](" not in hypothesis.statement
        assert len(hypothesis.statement) < 700


def test_a_report_that_links_all_with_all_is_not_taken_at_its_word() -> None:
    path = shared_data("cti", "hledger-open-directory-94-103-1-13-20260423.json")
    objects = list(objects_of(path))

    found, _ = behaviours(objects, CATALOGUE, feeds=lambda _: ("hledger",))

    assert len(claims_in(objects)) == 770
    assert len(found) == 35
    assert {b.actor for b in found} == {""}


def test_the_shipped_catalogue_is_what_the_tool_makes_of_the_bundle() -> None:
    path = shared_data("attack", "enterprise-attack-18.1.json.gz")
    bundle = json.loads(gzip.decompress(path.read_bytes()))

    packed = pack(trim(bundle["objects"], "18.1"))

    made = read_catalogue(packed)
    assert isinstance(made, Catalogue)
    assert made.techniques == CATALOGUE.techniques
    assert made.analytics == CATALOGUE.analytics
    assert made.named == CATALOGUE.named
    assert len(packed) < 600_000


def test_all_of_attack_as_intelligence_is_placed() -> None:
    path = shared_data("attack", "enterprise-attack-18.1.json.gz")
    unpacked = json.loads(gzip.decompress(path.read_bytes()))["objects"]
    objects = [
        IntelObject(
            id=item["id"],
            type=item["type"],
            spec_version="2.1",
            version=item.get("modified", ""),
            created_by="",
            revoked=item.get("revoked") is True,
            tlp=Tlp.CLEAR,
            body=b"",
            content=item,
        )
        for item in unpacked
    ]

    found, unplaced = behaviours(objects, CATALOGUE, feeds=lambda _: ("attack",))

    assert len({s.object_id for b in found for s in b.sources}) == 16017
    assert not unplaced
