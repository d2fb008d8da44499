import json
from dataclasses import replace

import pytest
import stix2
from stix2validator import ValidationOptions, validate_instance

from huntonce.connectors.intel.author import author_case
from huntonce.connectors.intel.author_words import author_ruled_out
from huntonce.connectors.intel.checks import check_object
from huntonce.models.case import Determination
from huntonce.models.errors import DomainError
from huntonce.models.feedback import CaseIntel, Mask, TechniqueRef
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.intel import IntelObject
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import Power

SCHEDULED_TASK = "attack-pattern--005a06c6-14bf-4118-afa0-ebcd8aebb0c9"


def by_type(texts: tuple[str, ...], kind: str) -> list[dict[str, object]]:
    return [one for one in map(json.loads, texts) if one["type"] == kind]


def assert_valid(texts: tuple[str, ...]) -> None:
    for text in texts:
        content = json.loads(text)
        stix2.parse(content)
        result = validate_instance(content, ValidationOptions(strict=True, version="2.1"))
        assert result.is_valid, [str(error) for error in result.errors]
        checked = check_object(content, text.encode(), default_tlp=Tlp.RED)
        assert isinstance(checked, IntelObject)


def test_a_closed_case_is_valid_strict_stix(intel: CaseIntel, mask: Mask) -> None:
    assert_valid(author_case(intel, mask=mask))


def test_a_case_written_twice_is_the_same_bytes(intel: CaseIntel, mask: Mask) -> None:
    assert author_case(intel, mask=mask) == author_case(intel, mask=mask)


def test_every_kind_of_object_is_there(intel: CaseIntel, mask: Mask) -> None:
    texts = author_case(intel, mask=mask)

    kinds = {json.loads(text)["type"] for text in texts}

    assert kinds >= {
        "marking-definition", "identity", "incident", "observed-data", "indicator", "sighting",
        "relationship", "report", "note", "attack-pattern", "file", "process", "user-account",
        "windows-registry-key", "ipv4-addr",
    }  # fmt: skip


def test_only_promoted_detections_become_sigma_indicators(intel: CaseIntel, mask: Mask) -> None:
    indicators = by_type(author_case(intel, mask=mask), "indicator")

    assert [one["pattern"] for one in indicators] == [intel.detections[0].rule]
    assert indicators[0]["pattern_type"] == "sigma"


def test_a_known_attack_pattern_is_referenced_and_an_unknown_one_is_our_own(
    intel: CaseIntel, mask: Mask
) -> None:
    texts = author_case(intel, mask=mask)

    own = by_type(texts, "attack-pattern")
    sighted = {one["sighting_of_ref"] for one in by_type(texts, "sighting")}
    assert [one["external_references"][0]["external_id"] for one in own] == ["T1059.001"]  # type: ignore[index]
    assert SCHEDULED_TASK in sighted
    assert own[0]["id"] in sighted


def test_every_reference_leads_to_an_object_of_the_set_or_to_the_sources(
    intel: CaseIntel, mask: Mask
) -> None:
    texts = author_case(intel, mask=mask)
    known = {json.loads(text)["id"] for text in texts}
    known |= {ref.object_id for ref in intel.source_refs} | {SCHEDULED_TASK}

    for text in texts:
        for name, value in json.loads(text).items():
            if name.endswith(("_ref", "_refs")):
                refs = value if isinstance(value, list) else [value]
                assert set(refs) <= known


def test_nothing_internal_is_named(intel: CaseIntel, mask: Mask) -> None:
    whole = "\n".join(author_case(intel, mask=mask)).casefold()

    for name in ("ws01", "ws02", "j.doe", "corp", "10.1.2.3"):
        assert name not in whole
    assert mask.host("WS01") in whole


def test_the_tightest_source_marks_what_points_at_it(intel: CaseIntel, mask: Mask) -> None:
    texts = author_case(intel, mask=mask)

    derived = [
        one for one in by_type(texts, "relationship") if one["relationship_type"] == "derived-from"
    ]
    marks = {one["target_ref"]: one["object_marking_refs"] for one in derived}
    assert marks[intel.source_refs[1].object_id] == [Tlp.AMBER.marking_id]
    assert marks[intel.source_refs[2].object_id] == [Tlp.RED.marking_id]


def test_times_are_the_case_s_in_milliseconds(intel: CaseIntel, mask: Mask) -> None:
    texts = author_case(intel, mask=mask)

    assert by_type(texts, "report")[0]["published"] == "2026-03-04T10:20:30.123Z"
    assert by_type(texts, "sighting")[0]["first_seen"] == "2026-03-02T10:20:30.123Z"
    assert by_type(texts, "sighting")[0]["count"] == 2


def test_a_false_positive_tells_nobody_anything(intel: CaseIntel, mask: Mask) -> None:
    case = replace(intel.case, determination=Determination.FALSE_POSITIVE)

    assert author_case(replace(intel, case=case), mask=mask) == ()


def test_an_open_case_is_not_written(intel: CaseIntel, mask: Mask) -> None:
    with pytest.raises(DomainError, match="not closed"):
        author_case(replace(intel, case=replace(intel.case, determination=None)), mask=mask)


def ruled_out_run(intel: CaseIntel) -> HuntRun:
    return HuntRun(
        id="HUNT-1",
        hypothesis_key="h",
        hypothesis_id="H-1",
        hunt_name="scheduled-task",
        technique_id="T1053.005",
        siem="lake",
        start=intel.window.start,
        end=intel.window.end,
        started_at=intel.created,
        state=HuntState.CONCLUDED,
        verdict=Verdict.RULED_OUT,
        outcomes=("ruled_out",),
        checks=(Check(name="base", query="select 1", events=0),),
        power=Power(
            value=0.9, population=3, seen=3, hours=10, groups=(), blind=(), weakest="creation",
            words="Power 0.90: 3 of 3 hosts.",
        ),
        concluded_at=intel.created,
    )  # fmt: skip


def hypothesis(tlp: Tlp, intel: CaseIntel) -> Hypothesis:
    return Hypothesis(
        id="H-1",
        technique_id="T1053.005",
        technique_name="Scheduled Task",
        scope="windows",
        statement="COPPER HERON registers tasks remotely on our Windows hosts.",
        sources=(replace(intel.source_refs[0], tlp=tlp),),
    )


def test_what_was_ruled_out_is_a_sighting_with_count_0(intel: CaseIntel, mask: Mask) -> None:
    texts = author_ruled_out(
        hypothesis(Tlp.GREEN, intel),
        ruled_out_run(intel),
        organisation="Example Works",
        technique=TechniqueRef(id="T1053.005", stix_id=SCHEDULED_TASK),
        tlp=Tlp.GREEN,
        mask=mask,
    )

    assert_valid(texts)
    sighting = by_type(texts, "sighting")[0]
    assert (sighting["count"], sighting["sighting_of_ref"]) == (0, SCHEDULED_TASK)
    assert "Power 0.90" in str(by_type(texts, "note")[0]["content"])
    assert sighting["object_marking_refs"] == [Tlp.GREEN.marking_id]


def test_a_red_source_makes_the_negative_red(intel: CaseIntel, mask: Mask) -> None:
    texts = author_ruled_out(
        hypothesis(Tlp.RED, intel),
        ruled_out_run(intel),
        organisation="Example Works",
        technique=TechniqueRef(id="T1053.005"),
        tlp=Tlp.GREEN,
        mask=mask,
    )

    assert by_type(texts, "sighting")[0]["object_marking_refs"] == [Tlp.RED.marking_id]


def test_an_inconclusive_run_is_not_negative_knowledge(intel: CaseIntel, mask: Mask) -> None:
    run = replace(ruled_out_run(intel), verdict=Verdict.INCONCLUSIVE)

    with pytest.raises(DomainError, match="did not rule"):
        author_ruled_out(
            hypothesis(Tlp.GREEN, intel),
            run,
            organisation="Example Works",
            technique=TechniqueRef(id="T1053.005"),
            tlp=Tlp.GREEN,
            mask=mask,
        )
