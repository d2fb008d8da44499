"""Our own intel, come back, is ours; what others say about it is a claim of theirs."""

import pytest

from huntonce.models.attack import load_catalogue
from huntonce.models.deriving.claims import behaviours
from huntonce.models.intel import Behaviour, IntelObject
from tests.unit.deriving.conftest import Stix

OURS, THEIRS = "identity--us", "identity--them"


def claimed(*objects: IntelObject) -> tuple[Behaviour, ...]:
    found, _ = behaviours(objects, load_catalogue(), feeds=lambda _: ("shared",), own_identity=OURS)
    return found


@pytest.fixture
def published(stix: Stix) -> list[IntelObject]:
    """What we published of a case."""
    pattern = stix.pattern("T1053.005")
    mine = {"created_by_ref": OURS}
    return [
        pattern,
        stix.named("indicator", "rule", pattern="x", pattern_type="sigma", **mine),
        stix.named("incident", "case", **mine),
        stix.named("report", "case", object_refs=["incident--case", pattern.id], **mine),
        stix.edge("indicator--rule", "indicates", pattern.id, **mine),
        stix.edge("incident--case", "related-to", pattern.id, **mine),
        stix("sighting--ours", sighting_of_ref=pattern.id, count=2, **mine),
    ]


def test_what_we_published_is_known_as_ours(published: list[IntelObject]) -> None:
    found = claimed(*published)

    assert {b.technique_id for b in found} == {"T1053.005"}
    assert all(b.own for b in found)


@pytest.mark.parametrize("about", ["indicator--rule", "incident--case", "report--case"])
@pytest.mark.parametrize("kind", ["sighting", "note", "relationship"])
def test_an_answer_to_it_is_a_claim_of_theirs(
    published: list[IntelObject], stix: Stix, about: str, kind: str
) -> None:
    answer = {
        "sighting": stix("sighting--t", sighting_of_ref=about, count=3, created_by_ref=THEIRS),
        "note": stix("note--t", object_refs=[about], content="here, too", created_by_ref=THEIRS),
        "relationship": stix.edge("malware--t", "related-to", about, created_by_ref=THEIRS),
    }[kind]

    theirs = [b for b in claimed(*published, answer) if not b.own]

    assert [b.technique_id for b in theirs] == ["T1053.005"]
    assert [s.object_id for s in theirs[0].sources] == [answer.id]


def test_the_actor_that_they_link_to_it_is_theirs_to_name(
    published: list[IntelObject], stix: Stix
) -> None:
    actor = stix.named("intrusion-set", "HERON", created_by_ref=THEIRS)
    link = stix.edge("indicator--rule", "indicates", actor.id, created_by_ref=THEIRS)

    theirs = [b for b in claimed(*published, actor, link) if not b.own]

    assert [(b.technique_id, b.actor) for b in theirs] == [("T1053.005", "HERON")]


@pytest.mark.parametrize("kind", ["sighting", "opinion", "note", "own note"])
def test_what_says_that_nothing_is_there_or_is_about_nothing_of_ours_claims_nothing(
    published: list[IntelObject], stix: Stix, kind: str
) -> None:
    ours = "indicator--rule"
    answer = {
        "sighting": stix("sighting--t", sighting_of_ref=ours, count=0, created_by_ref=THEIRS),
        "opinion": stix("opinion--t", object_refs=[ours], created_by_ref=THEIRS),
        "note": stix("note--t", object_refs=["malware--x"], created_by_ref=THEIRS),
        "own note": stix("note--t", object_refs=[ours], created_by_ref=OURS),
    }[kind]

    assert [b for b in claimed(*published, answer) if not b.own] == []
