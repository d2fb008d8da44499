import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
import stix2
from stix2validator import ValidationOptions, validate_instance

from huntonce.connectors.intel.author import INCIDENT_CORE, author_case
from huntonce.connectors.intel.author_words import author_opinion, author_ruled_out
from huntonce.connectors.intel.checks import check_object
from huntonce.models.case import Determination
from huntonce.models.errors import DomainError
from huntonce.models.feedback import (
    Advice,
    CaseIntel,
    Mask,
    NamedRef,
    OpinionIntel,
    RuledOutIntel,
    Stance,
    Style,
    TechniqueRef,
    stix_time,
)
from huntonce.models.finding import Observable
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.indicators.warninglists import Warninglists, load_warninglists
from huntonce.models.intel import IntelObject
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import Power

CLOSED_TEXT = "2026-03-04T10:20:30.123Z"
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

    rules = [one for one in indicators if one["pattern_type"] == "sigma"]
    assert [one["pattern"] for one in rules] == [intel.detections[0].rule]


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


def test_everything_is_marked_as_tightly_as_the_tightest_source(
    intel: CaseIntel, mask: Mask
) -> None:
    red = replace(
        intel, source_refs=(*intel.source_refs[:2], replace(intel.source_refs[2], tlp=Tlp.RED))
    )

    levels = {
        kind: {
            tuple(one["object_marking_refs"]) for one in by_type(author_case(made, mask=mask), kind)
        }  # type: ignore[arg-type]
        for made in (red,)
        for kind in ("incident", "indicator", "report", "relationship", "sighting", "file")
    }

    assert set.union(*levels.values()) == {(Tlp.RED.marking_id,)}


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


def ruled_out(tlp: Tlp, intel: CaseIntel, run: HuntRun | None = None, **more: Any) -> RuledOutIntel:
    given: dict[str, Any] = {
        "hypothesis": hypothesis(tlp, intel),
        "run": run or ruled_out_run(intel),
        "organisation": "Example Works",
        "technique": TechniqueRef(id="T1053.005", stix_id=SCHEDULED_TASK),
        "tlp": Tlp.GREEN,
        "floor": 0.8,
        "power": "Power 0.90: 3 of 3 hosts.",
        **more,
    }
    return RuledOutIntel(**given)


def test_what_was_ruled_out_is_a_sighting_with_count_0(intel: CaseIntel, mask: Mask) -> None:
    texts = author_ruled_out(ruled_out(Tlp.GREEN, intel), mask=mask)

    assert_valid(texts)
    sighting = by_type(texts, "sighting")[0]
    assert (sighting["count"], sighting["sighting_of_ref"]) == (0, SCHEDULED_TASK)
    assert sighting["first_seen"] == stix_time(intel.window.start)
    assert sighting["last_seen"] == stix_time(intel.window.end)
    note = str(by_type(texts, "note")[0]["content"])
    assert "Power 0.90" in note
    assert "base" in note  # the check that was made
    assert sighting["object_marking_refs"] == [Tlp.GREEN.marking_id]


def test_a_red_source_makes_the_negative_red(intel: CaseIntel, mask: Mask) -> None:
    texts = author_ruled_out(ruled_out(Tlp.RED, intel), mask=mask)

    assert by_type(texts, "sighting")[0]["object_marking_refs"] == [Tlp.RED.marking_id]


def test_under_the_floor_nothing_is_said(intel: CaseIntel, mask: Mask) -> None:
    assert author_ruled_out(ruled_out(Tlp.GREEN, intel, floor=0.91), mask=mask) == ()


@pytest.mark.parametrize("told", [True, False])
def test_what_we_cannot_see_is_told_only_where_that_was_asked_for(
    intel: CaseIntel, mask: Mask, *, told: bool
) -> None:
    blind = ("Security 4698: not on WS01",)
    style = Style(gaps=told)
    negative = author_ruled_out(ruled_out(Tlp.GREEN, intel, blind=blind, style=style), mask=mask)
    case = author_case(replace(intel, blind=blind, style=style), mask=mask)

    for texts in (negative, case):
        whole = "".join(texts)
        assert ("Security 4698: not on" in whole) is told
        assert "WS01" not in whole
        assert_valid(texts)


def test_an_inconclusive_run_is_not_negative_knowledge(intel: CaseIntel, mask: Mask) -> None:
    run = replace(ruled_out_run(intel), verdict=Verdict.INCONCLUSIVE)

    with pytest.raises(DomainError, match="did not rule"):
        author_ruled_out(ruled_out(Tlp.GREEN, intel, run), mask=mask)


# ---------------------------------------------------------------- what IR said


def triples(texts: tuple[str, ...]) -> set[tuple[str, str, str]]:
    """Source type, relationship, target type of every relationship."""
    return {
        (
            str(one["source_ref"]).partition("--")[0],
            str(one["relationship_type"]),
            str(one["target_ref"]).partition("--")[0],
        )
        for one in by_type(texts, "relationship")
    }


NAMED = (
    NamedRef(type="malware", name="SLOWDRIP"),
    NamedRef(type="tool", name="PsExec", stix_id=f"tool--{uuid.UUID(int=7, version=4)}"),
    NamedRef(type="campaign", name="Operation Dry Dock"),
    NamedRef(type="intrusion-set", name="COPPER HERON"),
)


def test_nothing_is_named_that_ir_did_not_name(intel: CaseIntel, mask: Mask) -> None:
    kinds = {json.loads(text)["type"] for text in author_case(intel, mask=mask)}

    assert not kinds & {"malware", "tool", "campaign", "intrusion-set", "threat-actor"}
    assert "COPPER HERON" not in "".join(author_case(intel, mask=mask))  # intel's word, not IR's


def test_what_ir_named_hangs_together_as_the_standard_has_it(intel: CaseIntel, mask: Mask) -> None:
    texts = author_case(replace(intel, stated=NAMED), mask=mask)

    assert_valid(texts)
    assert triples(texts) >= {
        ("campaign", "attributed-to", "intrusion-set"),
        ("campaign", "uses", "malware"),
        ("campaign", "uses", "tool"),
        ("campaign", "uses", "attack-pattern"),
        ("indicator", "indicates", "malware"),
        ("indicator", "indicates", "intrusion-set"),
        ("indicator", "based-on", "observed-data"),
    }
    sighted = {str(one["sighting_of_ref"]).partition("--")[0] for one in by_type(texts, "sighting")}
    assert sighted == {"attack-pattern", "indicator", "malware", "tool"}  # an actor is not seen


def test_a_name_that_intel_has_is_its_object_and_as_closed(intel: CaseIntel, mask: Mask) -> None:
    named = tuple(replace(one, tlp=Tlp.RED) if one.stix_id else one for one in NAMED)
    made = replace(intel, stated=named)
    texts = author_case(made, mask=mask)

    (tool,) = [one for one in named if one.stix_id]
    assert by_type(texts, "tool") == []
    about = [
        one
        for one in map(json.loads, texts)
        if tool.stix_id
        in {one.get("source_ref"), one.get("target_ref"), one.get("sighting_of_ref")}
    ]
    assert about
    assert all(one["object_marking_refs"] == [Tlp.RED.marking_id] for one in about)
    assert made.levels[tool.stix_id] is Tlp.RED


def test_advice_is_how_to_see_it_and_no_word_of_our_gaps(intel: CaseIntel, mask: Mask) -> None:
    advice = Advice(
        key="security/other-object-access",
        name="Make visible: task created (Security 4698)",
        text="auditpol /set /subcategory:{0CCE9227-69AE-11D9-BED3-505054503030}",
        technique_id="T1053.005",
    )
    texts = author_case(replace(intel, advice=(advice,)), mask=mask)

    assert_valid(texts)
    (action,) = by_type(texts, "course-of-action")
    assert "auditpol" in str(action["description"])
    assert ("course-of-action", "investigates", "indicator") in triples(texts)


# ---------------------------------------------------------------- atomics, extension, opinion


def test_values_that_are_worth_it_become_stix_patterns(intel: CaseIntel, mask: Mask) -> None:
    case = replace(
        intel.case,
        observables=(
            *intel.case.observables,
            Observable(type="ip", value="198.51.100.7"),  # a network for documentation
            Observable(type="ip", value="185.220.101.4"),
            Observable(type="domain", value="Cdn-Sync.Example-Net.COM."),
            Observable(type="domain", value="files.corp.example"),
            Observable(type="url", value="http://cdn-sync.example-net.com/a'b"),
            Observable(type="url", value="http://cdn-sync.example-net.com/a%20b?c=1"),
        ),
    )
    texts = author_case(replace(intel, case=case), mask=mask)

    assert_valid(texts)
    patterns = {
        one["pattern"]: one for one in by_type(texts, "indicator") if one["pattern_type"] == "stix"
    }
    assert set(patterns) == {
        f"[file:hashes.'SHA-256' = '{'ab' * 32}']",
        "[ipv4-addr:value = '185.220.101.4']",
        "[domain-name:value = 'cdn-sync.example-net.com']",
        "[url:value = 'http://cdn-sync.example-net.com/a%20b?c=1']",
    }
    assert "valid_until" not in patterns[f"[file:hashes.'SHA-256' = '{'ab' * 32}']"]
    assert patterns["[ipv4-addr:value = '185.220.101.4']"]["valid_until"] > CLOSED_TEXT  # type: ignore[operator]


def test_a_value_of_a_warning_list_is_no_indicator(intel: CaseIntel, mask: Mask) -> None:
    case = replace(intel.case, observables=(Observable(type="ip", value="8.8.8.8"),))
    made = replace(intel, case=case)

    def stix_patterns(lists: Warninglists | None) -> list[object]:
        texts = author_case(made, mask=mask, lists=lists)
        return [one for one in by_type(texts, "indicator") if one["pattern_type"] == "stix"]

    assert stix_patterns(None)
    assert stix_patterns(load_warninglists()) == []


@pytest.mark.parametrize("confirmed_as", ["suspected", "successful-attempt"])
@pytest.mark.parametrize("determination", [d for d in Determination if d != "false-positive"])
def test_the_incident_extension_is_there_only_where_it_is_wanted(
    intel: CaseIntel, mask: Mask, determination: Determination, confirmed_as: str
) -> None:
    case = replace(intel.case, determination=determination)
    style = Style(incident_core=True, confirmed_as=confirmed_as)
    plain = author_case(replace(intel, case=case), mask=mask)
    texts = author_case(replace(intel, case=case, style=style), mask=mask)

    assert "extensions" not in by_type(plain, "incident")[0]
    core = by_type(texts, "incident")[0]["extensions"][INCIDENT_CORE]  # type: ignore[index]
    said = confirmed_as if determination is Determination.CONFIRMED else determination.value
    assert core["determination"] == said
    assert core["investigation_status"] == "closed"
    assert_valid(texts)


def test_an_opinion_is_on_the_object_and_names_nobody(intel: CaseIntel, mask: Mask) -> None:
    opinion = OpinionIntel(
        about=SCHEDULED_TASK,
        stance=Stance.DISAGREE,
        why="j.doe looked on WS01: it is our own updater.",
        organisation="Example Works",
        tlp=Tlp.AMBER,
        at=intel.created,
    )
    texts = author_opinion(opinion, mask=mask)

    assert_valid(texts)
    (said,) = by_type(texts, "opinion")
    assert (said["opinion"], said["object_refs"]) == ("disagree", [SCHEDULED_TASK])
    assert "j.doe" not in str(said)
    assert "WS01" not in str(said)
    assert said["object_marking_refs"] == [Tlp.AMBER.marking_id]
