import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.intel.author import author_case
from huntonce.models.errors import DomainError
from huntonce.models.feedback import (
    CaseIntel,
    Leaks,
    Mask,
    SharingRules,
    leaks,
    plan_publications,
)
from huntonce.models.ids import stix_id
from huntonce.models.profile import Profile
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.tlp import Tlp, effective_tlp

PLANNED = PublicationState.PLANNED


def rules(intel: CaseIntel, ceiling: Tlp, names: tuple[str, ...] = ()) -> SharingRules:
    return SharingRules(
        destination="peers",
        max_tlp=ceiling,
        levels=intel.levels,
        leaks=Leaks(names),
        own_name=intel.organisation,
    )


def planned(publications: tuple[Publication, ...]) -> list[dict[str, object]]:
    return [json.loads(one.body) for one in publications if one.state is PLANNED]


def named(content: dict[str, object]) -> set[str]:
    found: set[str] = set()
    for name, value in content.items():
        if name.endswith("_ref"):
            found.add(str(value))
        if name.endswith("_refs") and isinstance(value, list):
            found |= set(value)
    return found


def stix(kind: str, key: str, tlp: Tlp | None, **more: object) -> str:
    content = {"type": kind, "id": stix_id(kind, key), "name": key, **more}
    if tlp:
        content["object_marking_refs"] = [tlp.marking_id]
    return json.dumps(content)


def test_what_refers_to_a_red_source_stays_and_the_rest_goes(intel: CaseIntel, mask: Mask) -> None:
    found = plan_publications(
        author_case(intel, mask=mask), rules(intel, Tlp.AMBER), subject="CASE-1"
    )

    skipped = [one for one in found if one.state is PublicationState.SKIPPED_TLP]
    assert [one.object_type for one in skipped] == ["relationship", "marking-definition"] or {
        one.object_type for one in skipped
    } == {"relationship", "marking-definition"}
    assert all(one.tlp is not Tlp.RED for one in found if one.state is PLANNED)
    assert any(one.object_type == "report" for one in found if one.state is PLANNED)


@pytest.mark.parametrize("ceiling", list(Tlp))
def test_nothing_planned_names_what_is_held_back(
    intel: CaseIntel, mask: Mask, ceiling: Tlp
) -> None:
    found = plan_publications(author_case(intel, mask=mask), rules(intel, ceiling), subject="C")

    held = {one.object_id for one in found if one.state is not PLANNED}
    held |= {name for name, level in intel.levels.items() if level.rank > ceiling.rank}
    for content in planned(found):
        assert not named(content) & held


def test_below_the_case_s_level_nothing_goes_not_even_the_identity(
    intel: CaseIntel, mask: Mask
) -> None:
    found = plan_publications(
        author_case(intel, mask=mask), rules(intel, Tlp.GREEN), subject="CASE-1"
    )

    assert planned(found) == []


def test_an_object_marked_twice_counts_as_the_tighter() -> None:
    marks = [Tlp.GREEN.marking_id, Tlp.RED.marking_id]

    assert effective_tlp({"object_marking_refs": marks}, Tlp.CLEAR) is Tlp.RED


def test_a_report_loses_the_withheld_entry_and_becomes_another_report() -> None:
    red, green = stix("tool", "r", Tlp.RED), stix("tool", "g", Tlp.GREEN)
    refs = [json.loads(red)["id"], json.loads(green)["id"]]
    report = stix("report", "both", Tlp.GREEN, object_refs=refs)
    derived = stix(
        "relationship", "d", Tlp.GREEN, source_ref=json.loads(report)["id"], target_ref=refs[1]
    )
    to_peers = SharingRules(destination="peers", max_tlp=Tlp.GREEN)

    found = plan_publications([red, green, report, derived], to_peers, subject="x")

    sent = {one["type"]: one for one in planned(found)}
    assert sent["report"]["object_refs"] == refs[1:]
    assert sent["report"]["id"] != json.loads(report)["id"]
    assert sent["relationship"]["source_ref"] == sent["report"]["id"]
    assert sent["relationship"]["id"] != json.loads(derived)["id"]
    assert found[0].state is PublicationState.SKIPPED_TLP


def test_a_report_of_withheld_things_only_stays() -> None:
    red = stix("tool", "r", Tlp.RED)
    report = stix("report", "one", Tlp.GREEN, object_refs=[json.loads(red)["id"]])

    found = plan_publications(
        [red, report], SharingRules(destination="d", max_tlp=Tlp.GREEN), subject="x"
    )

    assert {one.state for one in found} == {PublicationState.SKIPPED_TLP}


def test_an_unmarked_object_counts_as_the_default_never_as_clear() -> None:
    bare = stix("tool", "t", None)

    found = plan_publications([bare], SharingRules(destination="d", max_tlp=Tlp.GREEN), subject="x")

    assert found[0].state is PublicationState.SKIPPED_TLP
    assert found[0].tlp is Tlp.AMBER


@pytest.mark.parametrize(
    "text",
    [
        "seen from 10.20.30.40 at night",
        "seen from 192.168.7.1:445",
        "\\\\WS01\\ADMIN$",
        "host ws01.corp.example",
        "S-1-5-21-1004336348-1177238915-682003330-512",
        "powershell -enc " + base64.b64encode("copy \\\\ws01\\c$".encode("utf-16-le")).decode(),
        "fd00:12:34::7 answered",
        "at 100.64.9.9",
    ],
)
def test_an_internal_name_rejects_the_object_and_says_which(text: str, profile: Profile) -> None:
    tool = stix("tool", "t", Tlp.GREEN, description=text)
    to_peers = SharingRules(destination="d", max_tlp=Tlp.AMBER, leaks=leaks(profile))

    (found,) = plan_publications([tool], to_peers, subject="x")

    assert found.state is PublicationState.REJECTED_FIELD
    assert "description" in found.why


@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.7 and 8.8.8.8",
        "filter: SourceIp|cidr: 10.0.0.0/8",
        "Windows 10.0.19041.1",
        "NT AUTHORITY\\SYSTEM on NEWS01",
    ],
)
def test_what_everybody_has_is_no_leak(text: str, profile: Profile) -> None:
    found = leaks(profile, accounts=["NT AUTHORITY\\SYSTEM"])

    assert found.find(text) == ""


def test_what_refers_to_a_rejected_object_goes_without_it_or_stays(profile: Profile) -> None:
    tool = stix("tool", "t", Tlp.GREEN, description="on WS01")
    use = stix("relationship", "u", Tlp.GREEN, target_ref=json.loads(tool)["id"])
    to_peers = SharingRules(destination="d", max_tlp=Tlp.AMBER, leaks=leaks(profile))

    found = plan_publications([tool, use], to_peers, subject="x")

    assert [one.state for one in found] == [PublicationState.REJECTED_FIELD] * 2


def test_the_same_name_has_the_same_pseudonym_only_under_the_same_key(mask: Mask) -> None:
    other = replace(mask, key=b"o" * 32)

    assert mask.host("WS01") == mask.host("ws01.corp.example")
    assert mask.user("CORP\\j.doe") == mask.user("J.Doe")
    assert mask.host("WS01") != other.host("WS01")
    assert mask.user("NT AUTHORITY\\SYSTEM") == "SYSTEM"


def test_a_short_masking_key_is_refused() -> None:
    with pytest.raises(DomainError, match="16 bytes"):
        Mask(b"short")


def test_a_body_that_is_no_stix_object_is_refused() -> None:
    with pytest.raises(DomainError, match="not a STIX object"):
        plan_publications(["[]"], SharingRules(destination="d", max_tlp=Tlp.RED), subject="x")


words = st.text(alphabet="abcWS01.\\ -@$", max_size=60)


@given(words, words)
def test_masked_text_never_leaks(before: str, after: str) -> None:
    profile = Profile(internal_names=("corp.example",))
    hosts, accounts = ("WS01.corp.example",), ("CORP\\j.doe",)
    found = leaks(profile, hosts=hosts, accounts=accounts)
    mask = Mask(b"k" * 32, hosts=hosts, accounts=accounts, leaks=found)

    masked = mask.text(f"{before} WS01 {after} CORP\\j.doe 10.1.2.3")

    assert found.find(masked) == ""


@given(st.lists(st.sampled_from(list(Tlp)), max_size=4), st.sampled_from(list(Tlp)))
def test_the_effective_level_is_never_looser_than_any_marking(
    marks: list[Tlp], default: Tlp
) -> None:
    level = effective_tlp({"object_marking_refs": [one.marking_id for one in marks]}, default)

    assert all(level.rank >= one.rank for one in marks)
    assert marks or level is default
