"""Which indicators are in force, and how far a hit of one is to be trusted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.deriving.standing import Claim, NotInForce, claims, trust
from huntonce.models.intel import IntelObject
from huntonce.models.tlp import Tlp

NOW = datetime(2026, 8, 1, tzinfo=UTC)
HASH = "[file:hashes.MD5 = 'aabbccddeeff00112233445566778899']"


def build(stix_id: str, **content: Any) -> IntelObject:
    kind = stix_id.partition("--")[0]
    content = {"modified": "2026-08-01T00:00:00Z", **content}
    return IntelObject(
        id=stix_id,
        type=kind,
        spec_version="2.1",
        version=content["modified"],
        created_by="",
        revoked=content.get("revoked") is True,
        tlp=Tlp.GREEN,
        body=b"",
        content={"type": kind, "id": stix_id, **content},
    )


def indicator(name: str = "1", **more: Any) -> IntelObject:
    values = {
        "pattern": HASH,
        "pattern_type": "stix",
        "valid_from": "2026-08-01T00:00:00Z",
        "confidence": 80,
        **more,
    }
    return build(f"indicator--{name}", **values)


def judged(*objects: IntelObject) -> tuple[tuple[Claim, ...], tuple[NotInForce, ...]]:
    feeds = {o.id: (f"feed {o.id[-1]}",) for o in objects if o.type == "indicator"}
    return claims(objects, feeds, NOW)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"valid_until": "2026-07-31T00:00:00Z"}, "expired on 2026-07-31"),
        ({"revoked": True}, "its maker has revoked it"),
        ({"pattern": " "}, "has no pattern"),
        ({"indicator_types": ["benign"]}, "says of itself that it is benign"),
    ],
)
def test_an_indicator_that_is_not_in_force_says_why(more: dict[str, Any], why: str) -> None:
    found, dead = judged(indicator(**more))

    assert found == ()
    assert [item.why for item in dead] == [why]


@pytest.mark.parametrize("until", ["2026-08-02T00:00:00Z", "no time", None])
def test_one_that_has_not_expired_is_in_force(until: object) -> None:
    found, dead = judged(indicator(valid_until=until))

    assert len(found) == 1
    assert dead == ()


def test_the_same_pattern_under_many_ids_is_one_claim_with_all_sources() -> None:
    spaced = HASH.replace(" = ", "=")

    found, _ = judged(indicator("1"), indicator("2", pattern=spaced, confidence=30), indicator("3"))

    assert len(found) == 1
    assert set(found[0].ids) == {"indicator--1", "indicator--2", "indicator--3"}
    assert found[0].feeds == ("feed 1", "feed 2", "feed 3")
    assert found[0].confidence == 0.8


@pytest.mark.parametrize(
    "said",
    [
        build("opinion--1", opinion="strongly-disagree", object_refs=["indicator--1"]),
        build("sighting--1", sighting_of_ref="indicator--1", labels=["false-positive"]),
        build("sighting--1", sighting_of_ref="indicator--1", x_misp_type="False positive"),
    ],
)
def test_a_false_positive_lowers_the_confidence_and_switches_nothing_off(said: IntelObject) -> None:
    (before,), _ = judged(indicator())

    (after,), dead = judged(indicator(), said)

    assert dead == ()
    assert 0.05 < after.confidence < before.confidence
    assert "called a false positive once" in {term.why for term in after.terms}


@pytest.mark.parametrize(
    "said",
    [
        build("opinion--1", opinion="agree", object_refs=["indicator--1"]),
        build("sighting--1", sighting_of_ref="indicator--1", count=0),
        build("sighting--1", sighting_of_ref="indicator--2", labels=["false-positive"]),
    ],
)
def test_other_words_do_not_lower_it(said: IntelObject) -> None:
    assert judged(indicator(), said) == judged(indicator())


def test_doubt_fades_and_a_sighting_renews() -> None:
    old = {"valid_from": "2025-08-01T00:00:00Z", "pattern": "[url:value = 'http://x.org/y']"}
    sighting = build(
        "sighting--1", sighting_of_ref="indicator--1", last_seen="2026-07-31T00:00:00Z"
    )

    (aged,), _ = judged(indicator(**old))
    (renewed,), _ = judged(indicator(**old), sighting)

    assert aged.confidence < 0.1
    assert renewed.confidence > 0.7
    fresh, stale = (
        trust([80], newest=NOW, kind="file", doubts=[NOW - timedelta(days=d)], now=NOW)[0]
        for d in (0, 720)
    )
    assert fresh < stale < 0.8


MOMENTS = st.integers(-10, 3000).map(lambda days: NOW - timedelta(days=days))


@given(
    st.lists(st.one_of(st.integers(-5, 200), st.none(), st.booleans(), st.text(max_size=3))),
    MOMENTS,
    st.sampled_from(["file", "url", "ipv4-addr", "odd"]),
    st.lists(MOMENTS, max_size=6),
)
def test_confidence_is_the_sum_of_its_terms_and_doubt_never_raises_it(
    stated: list[object], newest: datetime, kind: str, doubts: list[datetime]
) -> None:
    value, terms = trust(stated, newest=newest, kind=kind, doubts=doubts, now=NOW)

    assert 0.05 <= value <= 1
    assert sum(term.value for term in terms) == pytest.approx(value, abs=1e-3)
    assert value <= trust(stated, newest=newest, kind=kind, doubts=doubts[:-1], now=NOW)[0]
