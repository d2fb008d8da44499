from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.models.attack import load_catalogue
from huntonce.models.deriving import Cause, Unplaced, behaviours, placements
from huntonce.models.intel import Behaviour, IntelObject
from huntonce.models.tlp import Tlp

CATALOGUE = load_catalogue()
OWN = "identity--us"


def read(
    objects: Iterable[IntelObject], *feeds: str
) -> tuple[tuple[Behaviour, ...], tuple[Unplaced, ...]]:
    return behaviours(objects, CATALOGUE, feeds=lambda _: feeds or ("partner",), own_identity=OWN)


def test_a_uses_relationship_is_a_behaviour_with_actor_procedure_and_aims(stix: Any) -> None:
    objects = [
        stix.named("intrusion-set", "HERON"),
        stix.pattern("T1053.005"),
        stix.edge(
            "intrusion-set--HERON",
            "uses",
            "attack-pattern--T1053.005",
            confidence=80,
            description="[HERON](https://x.example/G1) makes a task with `schtasks`."
            "(Citation: Some (Long) Report)(Citation: Other)\nEvery\u202e hour.",
        ),
        stix.named("identity", "victims", sectors=["energy", 7, None]),
        stix.edge("intrusion-set--HERON", "targets", "identity--victims"),
        stix.edge("identity--victims", "located-at", "location--eu"),
        stix("location--eu", region="western-europe", country="DE"),
    ]

    (found,), unplaced = read(objects)

    assert not unplaced
    assert (found.technique_id, found.actor, found.actor_type) == (
        "T1053.005",
        "HERON",
        "intrusion-set",
    )
    assert found.procedure == "HERON makes a task with schtasks. Every hour."
    assert found.sectors == ("energy",)
    assert found.regions == ("de", "western-europe")
    assert found.confidence == 80
    assert not found.own
    (source,) = found.sources
    assert source.name == "HERON uses pattern T1053.005"
    assert (source.feed, source.modified) == ("partner", datetime(2026, 8, 1, tzinfo=UTC))


def test_the_same_claim_of_many_feeds_and_objects_is_one_behaviour_with_all_sources(
    stix: Any,
) -> None:
    objects = [
        stix.named("intrusion-set", "HERON"),
        stix.named("campaign", "Op"),
        stix.edge("campaign--Op", "attributed-to", "intrusion-set--HERON"),
        stix.pattern("T1053.005"),
        stix.edge("campaign--Op", "uses", "attack-pattern--T1053.005"),
        stix.edge("intrusion-set--HERON", "uses", "attack-pattern--T1053.005"),
        stix.named("indicator", "ioc"),
        stix.edge("indicator--ioc", "indicates", "intrusion-set--HERON"),
        stix.edge("indicator--ioc", "indicates", "attack-pattern--T1053.005"),
    ]

    (found,), _ = read(objects, "a", "b")

    assert found.actor == "HERON"
    assert len(found.sources) == 6
    assert {source.feed for source in found.sources} == {"a", "b"}


def test_two_procedures_stay_two_behaviours_and_a_bare_claim_joins_the_first(stix: Any) -> None:
    objects = [
        stix.named("malware", "RAT"),
        stix("malware--RAT2", name="RAT"),
        stix("malware--RAT3", name="RAT"),
        stix.pattern("T1053.005"),
        stix.edge("malware--RAT", "uses", "attack-pattern--T1053.005", description="by one way"),
        stix.edge("malware--RAT2", "uses", "attack-pattern--T1053.005", description="by two ways"),
        stix.edge("malware--RAT3", "uses", "attack-pattern--T1053.005"),
    ]

    found, _ = read(objects)

    assert [(b.procedure, len(b.sources)) for b in found] == [("by one way", 2), ("by two ways", 1)]


@pytest.mark.parametrize(
    "description",
    ["18117d1029bad681", "http://bad.example/a/b c d", "ioc", "macro document", 7],
)
def test_an_indicator_label_is_no_procedure(stix: Any, description: object) -> None:
    objects = [
        stix.named("indicator", "ioc"),
        stix.pattern("T1053.005"),
        stix.edge("indicator--ioc", "uses", "attack-pattern--T1053.005", description=description),
    ]

    (found,), _ = read(objects)

    assert (found.procedure, found.actor) == ("", "")


@pytest.mark.parametrize(
    ("claimed", "placed"),
    [("T1086", "T1059.001"), ("T1685", "T1562.001"), ("t1053/005", "T1053.005")],
)
def test_old_and_newer_ids_are_placed_under_the_technique_that_stands_for_them(
    stix: Any, claimed: str, placed: str
) -> None:
    objects = [stix.pattern(claimed), stix.named("tool", "T")]
    objects.append(stix.edge("tool--T", "uses", objects[0].id))

    (found,), unplaced = read(objects)

    assert found.technique_id == placed
    assert not unplaced


def test_what_became_of_ids_that_are_not_current_can_be_told(stix: Any) -> None:
    objects = [stix.pattern(i) for i in ("T1086", "T1053.005", "T1064", "T1999")]

    assert [(answer.asked, answer.id) for answer in placements(objects, CATALOGUE)] == [
        ("T1064", ""),
        ("T1086", "T1059.001"),
        ("T1999", ""),
    ]


def test_what_cannot_be_placed_is_told_with_its_reason(stix: Any) -> None:
    objects = [
        stix.named("intrusion-set", "HERON"),
        stix.pattern("T1064"),
        stix.pattern("T1999"),
        stix.pattern("CAPEC-1", source="capec"),
        *(
            stix.edge("intrusion-set--HERON", "uses", f"attack-pattern--{name}")
            for name in ("T1064", "T1999", "CAPEC-1", "gone")
        ),
    ]

    found, unplaced = read(objects)

    assert not found
    assert {(item.claim, item.cause) for item in unplaced} == {
        ("HERON uses pattern T1064", Cause.DEPRECATED),
        ("HERON uses pattern T1999", Cause.UNKNOWN),
        ("HERON uses pattern CAPEC-1", Cause.NO_ATTACK_ID),
        ("HERON uses attack-pattern--gone", Cause.DANGLING),
    }
    assert all(item.why and item.feeds == ("partner",) for item in unplaced)


def test_attack_objects_that_are_not_stored_are_known_by_their_stix_id(stix: Any) -> None:
    apt29 = "intrusion-set--899ce53f-13a0-479b-a0e4-67d46e241542"
    task = "attack-pattern--005a06c6-14bf-4118-afa0-ebcd8aebb0c9"

    (found,), _ = read([stix.edge(apt29, "uses", task)])

    assert (found.technique_id, found.actor) == ("T1053.005", "APT29")


def test_an_id_spelt_out_in_the_name_stands_in_for_a_missing_reference(stix: Any) -> None:
    cisa = stix("attack-pattern--a", name="Credential Access - Steal Cookie [T1539]")
    two = stix("attack-pattern--b", name="T1539 or T1053.005")
    report = stix("report--r", name="AA23", object_refs=[cisa.id, two.id])

    (found,), (unplaced,) = read([cisa, two, report])

    assert found.technique_id == "T1539"
    assert unplaced.cause is Cause.NO_ATTACK_ID


def test_a_report_claims_only_what_no_relationship_of_it_claims(stix: Any) -> None:
    objects = [
        stix.named("intrusion-set", "HERON"),
        stix.pattern("T1053.005"),
        stix.pattern("T1003.001"),
        stix.edge("intrusion-set--HERON", "uses", "attack-pattern--T1053.005"),
        stix.named(
            "report",
            "R",
            object_refs=[
                "intrusion-set--HERON",
                "attack-pattern--T1053.005",
                "attack-pattern--T1003.001",
                7,
            ],
        ),
    ]

    found, _ = read(objects)

    assert [(b.technique_id, b.actor, [s.object_type for s in b.sources]) for b in found] == [
        ("T1003.001", "HERON", ["report"]),
        ("T1053.005", "HERON", ["relationship"]),
    ]


def test_a_report_that_holds_the_relationship_is_a_source_of_its_claim(stix: Any) -> None:
    edge = stix.edge("tool--T", "uses", "attack-pattern--T1053.005")
    report = stix.named("report", "R", object_refs=[edge.id], modified="2026-07-01T00:00:00Z")

    (found,), _ = read([stix.named("tool", "T"), stix.pattern("T1053.005"), edge, report])

    assert [source.object_id for source in found.sources] == [edge.id, report.id]


def test_a_report_about_two_groups_names_neither(stix: Any) -> None:
    groups = [stix.named("intrusion-set", name) for name in ("A", "B")]
    pattern = stix.pattern("T1053.005")
    report = stix.named("report", "R", object_refs=[pattern.id, *(g.id for g in groups)])

    (found,), _ = read([*groups, pattern, report])

    assert found.actor == ""


def test_a_generator_that_links_everything_with_everything_makes_one_claim_a_technique(
    stix: Any,
) -> None:
    ids = ("T1053.005", "T1003.001", "T1047", "T1112", "T1113")
    malware = [stix.named("malware", name) for name in ("a", "b", "c")]
    patterns = [stix.pattern(technique_id) for technique_id in ids]
    edges = [stix.edge(m.id, "uses", p.id) for m in malware for p in patterns]
    other = stix.named("malware", "d")
    honest = stix.edge(other.id, "uses", patterns[0].id)
    report = stix.named("report", "R", object_refs=[e.id for e in edges])

    found, unplaced = read([*malware, *patterns, *edges, other, honest, report])

    assert [(b.technique_id, b.actor) for b in found] == [
        ("T1003.001", ""),
        ("T1047", ""),
        ("T1053.005", ""),
        ("T1053.005", "d"),
        ("T1112", ""),
        ("T1113", ""),
    ]
    accounted = {source.object_id for b in found for source in b.sources}
    assert accounted == {e.id for e in (*edges, honest, report)}
    assert not unplaced


def test_our_own_feedback_is_marked_and_kept_apart(stix: Any) -> None:
    objects = [
        stix.pattern("T1053.005"),
        stix.named("indicator", "sigma"),
        stix.edge("indicator--sigma", "indicates", "attack-pattern--T1053.005", created_by_ref=OWN),
        stix("sighting--1", sighting_of_ref="attack-pattern--T1053.005", count=2),
    ]

    found, _ = read(objects)

    assert [(b.own, b.sources[0].object_type) for b in found] == [
        (False, "sighting"),
        (True, "relationship"),
    ]


def test_looked_for_and_not_seen_is_no_behaviour_not_even_through_its_report(stix: Any) -> None:
    objects = [
        stix.pattern("T1053.005"),
        stix("sighting--1", sighting_of_ref="attack-pattern--T1053.005", count=0),
        stix.named("grouping", "g", object_refs=["attack-pattern--T1053.005", "sighting--1"]),
    ]

    found, (unplaced,) = read(objects)

    assert not found
    assert unplaced.cause is Cause.NOT_SEEN


def test_withdrawn_claims_and_older_versions_do_not_count(stix: Any) -> None:
    old = stix.edge("tool--T", "uses", "attack-pattern--T1053.005")
    new = stix.edge(
        "tool--T",
        "uses",
        "attack-pattern--T1053.005",
        modified="2026-08-02T00:00:00.000Z",
        revoked=True,
    )

    assert read([new, old, stix.pattern("T1053.005"), stix.named("tool", "T")]) == ((), ())


def test_a_source_is_marked_as_tightly_as_what_it_speaks_of(stix: Any) -> None:
    objects = [
        stix.named("intrusion-set", "HERON", tlp=Tlp.RED),
        stix.pattern("T1053.005"),
        stix.edge("intrusion-set--HERON", "uses", "attack-pattern--T1053.005", tlp=Tlp.CLEAR),
    ]

    (found,), _ = read(objects)

    assert found.sources[0].tlp is Tlp.RED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = (
    "name",
    "description",
    "relationship_type",
    "source_ref",
    "target_ref",
    "object_refs",
    "external_references",
    "confidence",
    "sectors",
    "count",
    "sighting_of_ref",
    "modified",
)
REFS = st.sampled_from(
    ["attack-pattern--x", "intrusion-set--x", "indicator--x", "report--x", "malware--x", "--"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["relationship", "attack-pattern", "report", "sighting", "identity", "malware"]
            ),
            st.dictionaries(st.sampled_from(KEYS), REFS | st.just("uses") | JSON, max_size=6),
        ),
        max_size=8,
    )
)
def test_hostile_values_never_break_it(stix: Any, raw: list[tuple[str, dict[str, Any]]]) -> None:
    objects = [stix(f"{kind}--{index}", **content) for index, (kind, content) in enumerate(raw)]
    objects += [stix(f"{kind}--x", **content) for kind, content in dict(raw).items()]

    found, unplaced = read(objects)

    assert read(reversed(objects)) == (found, unplaced)
    for behaviour in found:
        assert behaviour.technique_id in CATALOGUE.techniques
        assert "\n" not in behaviour.procedure
        assert behaviour.sources
