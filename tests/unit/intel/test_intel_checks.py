import json
from typing import Any

import orjson
import pytest
import stix2
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2.v21 import OBJ_MAP, OBJ_MAP_OBSERVABLE
from stix2validator import ValidationOptions, validate_instance

from huntonce.connectors.intel import checks
from huntonce.connectors.intel.checks import MAX_OBJECT_BYTES, check_object
from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.forms import is_time, time_key
from huntonce.connectors.intel.patterns import MAX_PATTERN, pattern_fault
from huntonce.connectors.intel.soundness import CLOSELY, is_sound
from huntonce.connectors.intel.stix_types import COMMON, SHAPES, Form
from huntonce.models.intel import IntelObject
from huntonce.models.tlp import MARKINGS, TLP2_EXTENSION, Tlp, marking_levels
from tests.support.shared import shared_data

INDICATOR = {
    "type": "indicator",
    "spec_version": "2.1",
    "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
    "created": "2026-01-02T03:04:05.000Z",
    "modified": "2026-01-02T03:04:05.000Z",
    "pattern": "[ipv4-addr:value = '203.0.113.1']",
    "pattern_type": "stix",
    "valid_from": "2026-01-02T03:04:05Z",
}
MARK = "marking-definition--"


def check(content: Any, default: Tlp = Tlp.AMBER) -> IntelObject | str:
    return check_object(content, orjson.dumps(content), default_tlp=default)


def but(**changes: Any) -> dict[str, Any]:
    return {k: v for k, v in {**INDICATOR, **changes}.items() if v is not ...}


def accepted(content: Any) -> IntelObject:
    found = check(content)
    assert isinstance(found, IntelObject), found
    return found


def test_the_table_of_types_agrees_with_the_stix2_library() -> None:
    known = {**OBJ_MAP, **OBJ_MAP_OBSERVABLE}
    known.pop("bundle")
    assert set(SHAPES) == set(known)
    for kind, stix in known.items():
        shape = SHAPES[kind]
        needed = {name for name, prop in stix._properties.items() if prop.required}
        assert needed - {"type", "id"} <= set(shape.required), kind
        for name, prop in stix._properties.items():
            form = {**COMMON, **shape.required, **shape.optional}.get(name)
            if name.endswith("_ref"):
                assert form is Form.REF, (kind, name)
            if name.endswith("_refs"):
                assert form is Form.REFS, (kind, name)
            if "Timestamp" in type(prop).__name__ and name not in {"created", "modified"}:
                assert form is Form.TIME, (kind, name)


def test_a_valid_indicator_becomes_intel_with_its_own_bytes() -> None:
    body = json.dumps(INDICATOR, indent=1).encode()

    found = check_object(INDICATOR, body, default_tlp=Tlp.GREEN)

    assert isinstance(found, IntelObject)
    assert found.body is body
    assert (found.version, found.tlp, found.revoked) == (INDICATOR["modified"], Tlp.GREEN, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"valid_from": ...}, "has no valid_from"),
        ({"id": ...}, "has no id"),
        ({"type": ...}, "has no type"),
        ({"created": ...}, "has no created"),
        ({"modified": ...}, "has no modified"),
        ({"spec_version": ...}, "STIX 2.0"),
        ({"spec_version": "2.0"}, "is STIX 2.0"),
        ({"id": "indicator--1"}, "type--UUID"),
        ({"id": "malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}, "id is of type malware"),
        ({"created": "2026-01-02 03:04:05"}, "created must be"),
        ({"created": "2026-15-02T03:04:05Z"}, "created must be"),
        ({"created": "2027-01-01T00:00:00Z"}, "modified before"),
        ({"modified": "2026-01-02T03:04:05+00:00"}, "modified must be"),
        ({"valid_until": "2026-01-02T03:04:05.000Z"}, "later than valid_from"),
        ({"created_by_ref": "someone"}, "created_by_ref must be"),
        ({"object_marking_refs": ["x"]}, "object_marking_refs must be"),
        ({"created": None}, "has no created"),
        ({"labels": 17}, "labels must be"),
        ({"external_references": [{"url": "https://a.example"}]}, "has no source_name"),
        ({"external_references": [{"source_name": "a"}]}, "reference 1 has none of"),
        ({"kill_chain_phases": [{"phase_name": "x"}]}, "kill_chain_phases must be"),
        ({"granular_markings": [{"selectors": ["name"]}]}, "either marking_ref or lang"),
        ({"pattern": ""}, "empty pattern"),
        ({"pattern": "   "}, "empty pattern"),
        ({"pattern": "file:hashes.MD5 = 'x']"}, "not a STIX pattern"),
        ({"revoked": "yes"}, "revoked must be"),
        ({"confidence": 101}, "confidence must be"),
        ({"confidence": True}, "confidence must be"),
        ({"type": "bundle"}, "bundle inside"),
    ],
)
def test_a_fault_is_named(changes: dict[str, Any], reason: str) -> None:
    found = check(but(**changes))

    assert isinstance(found, str)
    assert reason in found


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "not a JSON object"),
        ({"type": "malware", "is_family": True}, "no id"),
        (but(type="sighting", id="sighting--" + INDICATOR["id"][11:]), "no sighting_of_ref"),
        (
            but(
                type="sighting",
                id="sighting--" + INDICATOR["id"][11:],
                sighting_of_ref=INDICATOR["id"],
                count=-1,
            ),
            "count must be",
        ),
        (
            but(
                type="opinion",
                id="opinion--" + INDICATOR["id"][11:],
                opinion="maybe",
                object_refs=[INDICATOR["id"]],
            ),
            "opinion must be one of",
        ),
        (but(type="report", id="report--" + INDICATOR["id"][11:], name="r"), "no published"),
        ({"type": "file", "id": "file--" + INDICATOR["id"][11:]}, "none of hashes, name"),
    ],
)
def test_faults_of_other_types_are_named(content: Any, reason: str) -> None:
    found = check(content)

    assert isinstance(found, str)
    assert reason in found


def test_an_object_beyond_the_size_limit_is_refused() -> None:
    found = check_object(INDICATOR, b" " * (MAX_OBJECT_BYTES + 1), default_tlp=Tlp.AMBER)

    assert isinstance(found, str)
    assert "larger" in found


def test_an_object_that_nests_too_deeply_is_refused_and_a_wide_one_is_not() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"a": [deep]}

    assert check(but(x_deep=deep)) == "nested more than 100 levels deep"
    accepted(but(x_wide=[[n] for n in range(500)]))


def test_custom_types_properties_and_extensions_are_kept() -> None:
    uuid = INDICATOR["id"][11:]
    custom = but(type="x-acme-thing", id=f"x-acme-thing--{uuid}", x_acme={"deep": [1]})
    observable = {"type": "x-acme-sco", "id": f"x-acme-sco--{uuid}", "x_acme_ref": 3}

    assert accepted(custom).content["x_acme"] == {"deep": [1]}
    assert accepted(observable).version == ""
    assert accepted(but(extensions={"x": {}}, x_any_ref=5)).id == INDICATOR["id"]


def test_a_sigma_pattern_is_not_read_as_a_stix_pattern() -> None:
    assert accepted(but(pattern="title: x", pattern_type="sigma")).type == "indicator"


def test_a_registry_key_s_or_certificate_s_own_times_are_not_versions() -> None:
    key = {
        "type": "windows-registry-key",
        "id": "windows-registry-key--" + INDICATOR["id"][11:],
        "key": "HKLM",
        "modified_time": "2026-01-02T03:04:05Z",
    }

    assert accepted(key).version == ""


@pytest.mark.parametrize(
    ("marks", "level"),
    [
        ([], Tlp.AMBER),
        (["613f2e26-407d-48c7-9eca-b8e91df99dc9"], Tlp.CLEAR),
        (["f88d31f6-486f-44da-b317-01333bde0b82"], Tlp.AMBER_STRICT),
        (["34098fce-860f-48ae-8e50-ebd3cc5e41da", "e828b379-4e03-4974-9ac4-e53a884c97c1"], Tlp.RED),
        (["00000000-0000-4000-8000-000000000000"], Tlp.AMBER),
    ],
)
def test_the_tightest_marking_wins_and_none_is_the_default(marks: list[str], level: Tlp) -> None:
    refs = [MARK + one for one in marks]

    assert accepted(but(object_marking_refs=refs or ...)).tlp is level


def test_a_marked_property_tightens_the_object() -> None:
    red = {"marking_ref": Tlp.RED.marking_id, "selectors": ["name"]}
    clear = {"marking_ref": Tlp.CLEAR.marking_id, "selectors": ["name"]}

    assert accepted(but(granular_markings=[red])).tlp is Tlp.RED
    assert accepted(but(granular_markings=[clear])).tlp is Tlp.AMBER


def test_markings_under_ids_of_their_own_count_and_the_standard_s_cannot_be_redefined() -> None:
    own = MARK + "00000000-0000-4000-8000-000000000001"
    levels = marking_levels(
        [
            {
                "type": "marking-definition",
                "id": own,
                "extensions": {TLP2_EXTENSION: {"tlp_2_0": "red"}},
            },
            {
                "type": "marking-definition",
                "id": Tlp.RED.marking_id,
                "definition_type": "tlp",
                "definition": {"tlp": "white"},
            },
            "not an object",
        ]
    )

    assert levels[own] is Tlp.RED
    assert levels[Tlp.RED.marking_id] is Tlp.RED
    assert levels.items() >= MARKINGS.items()


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '203.0.113.1']",
        "[file:hashes.'SHA-256' = 'ab' OR file:name = 'it\\'s.exe']",
        "([file:name = 'a'] AND [file:name = 'b']) WITHIN 300 SECONDS",
        "[network-traffic:dst_port > 5 AND process:command_line MATCHES '^a']",
        "[url:value IN ('a', 'b')]",
    ],
)
def test_patterns_of_every_shape_are_taken(pattern: str) -> None:
    assert pattern_fault(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    ["[", "[file:name]", "x", "[file:name = 'a'", "[" * 300 + "]", "[file:name = 'a'] AND",
     "[a:b = '" + "x" * MAX_PATTERN],
)  # fmt: skip
def test_what_is_not_a_pattern_is_named(pattern: str) -> None:
    assert pattern_fault(pattern)


def test_times_sort_whatever_their_precision() -> None:
    texts = ["2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.05Z"]

    assert sorted(texts, key=time_key) == [texts[1], texts[2], texts[0]]
    assert time_key("2026-01-01T00:00:00Z") == time_key("2026-01-01T00:00:00.000Z")


def test_the_demo_bundle_is_valid_and_its_faulty_object_is_refused() -> None:
    bodies = demo_intel()

    for body in bodies:
        accepted(orjson.loads(body))
        stix2.parse(body.decode())
    assert 55 <= len(bodies) <= 70
    for body in bodies:
        result = validate_instance(
            orjson.loads(body), ValidationOptions(strict=True, version="2.1")
        )
        assert result.is_valid, [str(error) for error in result.errors]
    assert check(orjson.loads(faulty_intel())) == "has no valid_from"


@pytest.mark.shared_data
def test_what_python_stix2_parses_is_taken() -> None:
    for path in sorted(shared_data("cti").glob("*.json")):
        if path.name != "index.json":
            for content in orjson.loads(path.read_bytes())["objects"]:
                accepted(content)


objects = st.sampled_from([orjson.loads(body) for body in demo_intel()])
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=6,
)


@settings(max_examples=300)
@given(objects, st.data())
def test_a_mutated_object_never_crashes_and_its_verdict_is_stable(
    content: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*content, "x_new", "revoked", "granular_markings"]))
    mutant = {**content, name: data.draw(junk)}
    body = json.dumps(mutant).encode()
    again = dict(reversed(mutant.items()))

    first = check_object(mutant, body, default_tlp=Tlp.AMBER)
    second = check_object(again, body, default_tlp=Tlp.AMBER)

    assert isinstance(first, IntelObject) == isinstance(second, IntelObject)
    if isinstance(first, str):
        assert first == second
        assert first.isprintable()
    else:
        assert first.tlp.rank >= Tlp.GREEN.rank or "object_marking_refs" in mutant


@settings(max_examples=300)
@given(objects, st.data())
def test_the_quick_yes_is_never_given_to_what_the_close_look_refuses(
    content: dict[str, Any], data: st.DataObject
) -> None:
    names = [
        *content,
        "confidence",
        "labels",
        "first_seen",
        "created_by_ref",
        "external_references",
    ]
    changed = data.draw(st.lists(st.sampled_from(names), max_size=2))
    mutant = {**content, **{name: data.draw(junk) for name in changed}}
    for name in data.draw(st.lists(st.sampled_from([*content]), max_size=1)):
        del mutant[name]

    if is_sound(mutant):
        assert checks._identity_fault(mutant) == ""
        if mutant["type"] not in CLOSELY:
            assert checks._shape_fault(mutant) + checks._special_fault(mutant) == ""
        else:
            assert check(mutant) == (
                checks._shape_fault(mutant) or checks._special_fault(mutant) or check(mutant)
            )


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x-a--b--00000000-0000-4000-8000-000000000001", "type": "x-a"},
        {"type": ["x"]},
        {"created": "2026-02-30T00:00:00.000Z", "modified": "2026-02-30T00:00:00.000Z"},
        {"spec_version": 2.1},
    ],
)
def test_what_looks_nearly_sound_is_refused(changes: dict[str, Any]) -> None:
    assert not is_sound(but(**changes))
    assert isinstance(check(but(**changes)), str)


@given(st.text(max_size=40))
def test_a_time_that_is_taken_sorts_and_parses(text: str) -> None:
    if is_time(text):
        assert len(time_key(text)) >= 29
