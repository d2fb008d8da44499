"""STIX 2.0 on its way in: what 2.1 makes of it, and that nothing is lost."""

import json
from typing import Any

import orjson
import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.intel.batch import Intake
from huntonce.connectors.intel.bundles import BundleFiles
from huntonce.connectors.intel.stix20 import is_stix20, upgrade
from huntonce.models.intel import IntelObject
from huntonce.models.tlp import Tlp
from tests.support.shared import shared_data

Stix = dict[str, Any]
STAMP = "2019-01-02T03:04:05.678Z"
RED = Tlp.RED.marking_id


def old(kind: str, number: int = 1, **more: object) -> Stix:
    return {
        "type": kind,
        "id": f"{kind}--00000000-0000-4000-8000-{number:012d}",
        "created": STAMP,
        "modified": STAMP,
        **more,
    }


def taken(*contents: Stix) -> list[IntelObject]:
    objects, refused = Intake("test", Tlp.AMBER).take([orjson.dumps(one) for one in contents])
    assert refused == ()
    for one in objects:
        stix2.parse(one.body.decode(), allow_custom=True)
    return list(objects)


def observed(objects: Stix, **more: object) -> Stix:
    seen = {"first_observed": STAMP, "last_observed": STAMP, "number_observed": 2}
    return old("observed-data", **seen, objects=objects, **more)


@pytest.mark.parametrize(
    ("content", "added"),
    [
        (
            old("indicator", pattern="[url:value = 'a']", valid_from=STAMP, labels=["benign"]),
            {"pattern_type": "stix", "indicator_types": ["benign"], "labels": ["benign"]},
        ),
        (
            old("malware", name="X", labels=["trojan"]),
            {"is_family": True, "malware_types": ["trojan"]},
        ),
        (old("tool", name="X", labels=["vulnerability-scanning"]),
         {"tool_types": ["vulnerability-scanning"]}),
        (old("threat-actor", name="X", labels=["spy"]), {"threat_actor_types": ["spy"]}),
        (
            old("report", name="X", labels=["campaign"], published=STAMP,
                object_refs=["tool--00000000-0000-4000-8000-000000000009"]),
            {"report_types": ["campaign"]},
        ),
        (old("identity", name="X", identity_class="group"), {"identity_class": "group"}),
        (old("x-custom-thing", name="X"), {"name": "X"}),
    ],
)  # fmt: skip
def test_what_2_1_renamed_is_renamed_and_the_original_is_kept(content: Stix, added: Stix) -> None:
    (item,) = taken(content)

    assert item.content.items() >= {**content, **added, "spec_version": "2.1"}.items()
    assert (item.id, item.version) == (content["id"], STAMP)
    assert orjson.loads(item.original) == content


def test_patterns_speak_2_1_and_quoted_texts_stay() -> None:
    pattern = (
        "[process:binary_ref.name = 'file:created' AND file:created > t'2016-01-01T00:00:00Z']"
        " START '2016-01-01T00:00:00Z' STOP '2017-01-01T00:00:00Z'"
    )
    (item,) = taken(old("indicator", pattern=pattern, valid_from=STAMP, labels=["benign"]))

    assert item.content["pattern"] == (
        "[process:image_ref.name = 'file:created' AND file:ctime > t'2016-01-01T00:00:00Z']"
        " START t'2016-01-01T00:00:00Z' STOP t'2017-01-01T00:00:00Z'"
    )


def test_observables_become_objects_with_the_ids_that_python_stix2_gives() -> None:
    held: Stix = {
        "0": {"type": "directory", "path": "C:\\Windows", "created": STAMP},
        "1": {
            "type": "file",
            "name": "a.exe",
            "parent_directory_ref": "0",
            "hashes": {"SHA-256": "a" * 64, "MD5": "b" * 32},
            "modified": STAMP,
        },
        "2": {"type": "ipv4-addr", "value": "203.0.113.9"},
        "3": {"type": "domain-name", "value": "bad.example", "resolves_to_refs": ["2"]},
        "4": {
            "type": "network-traffic",
            "src_ref": "2",
            "protocols": ["tcp"],
            "dst_port": 443,
        },
        "5": {"type": "user-account", "user_id": "1001", "account_login": "j.doe"},
        "6": {"type": "windows-registry-key", "key": "HKLM\\a", "modified": STAMP},
    }
    found = taken(observed(held, object_marking_refs=[RED]))

    by_type = {item.type: item for item in found}
    assert len(found) == 8
    assert list(by_type["observed-data"].content["object_refs"]) == [i.id for i in found[:-1]]  # type: ignore[call-overload]
    for item in found[:-1]:
        plain = {key: value for key, value in item.content.items() if key != "id"}
        assert stix2.parse(json.dumps(plain), allow_custom=True)["id"] == item.id
    assert by_type["file"].content["parent_directory_ref"] == by_type["directory"].id
    assert by_type["domain-name"].content["resolves_to_refs"] == [by_type["ipv4-addr"].id]
    assert by_type["file"].content["mtime"] == STAMP
    assert by_type["directory"].content["ctime"] == STAMP
    # What was seen is marked as the sighting of it was.
    assert {item.tlp for item in found} == {Tlp.RED}
    assert {orjson.loads(item.original)["type"] for item in found} == {"observed-data"}


def test_a_process_is_the_same_one_each_time() -> None:
    held = {"0": {"type": "process", "command_line": "a.exe", "name": "a.exe", "pid": 4}}

    first, second = taken(observed(held)), taken(observed(held))

    assert [one.id for one in first] == [one.id for one in second]
    assert first[0].content["x_stix20_name"] == "a.exe"


def test_an_email_keeps_its_headers_and_parts() -> None:
    held: Stix = {
        "0": {"type": "email-addr", "value": "a@b.example"},
        "1": {
            "type": "email-message",
            "is_multipart": True,
            "from_ref": "0",
            "additional_header_fields": {"Reply-To": "c@d.example"},
            "body_multipart": [{"body_raw_ref": "2", "content_type": "text/plain"}],
        },
        "2": {"type": "artifact", "payload_bin": "YQ=="},
    }
    address, message, artifact, _ = taken(observed(held))

    assert message.content["from_ref"] == address.id
    assert message.content["additional_header_fields"] == {"Reply-To": ["c@d.example"]}
    assert message.content["body_multipart"][0]["body_raw_ref"] == artifact.id  # type: ignore[index]


def test_a_faulty_2_0_object_is_set_aside_with_its_own_bytes() -> None:
    body = orjson.dumps(old("indicator", pattern="nonsense", valid_from=STAMP, labels=["benign"]))

    objects, (refused,) = Intake("test", Tlp.AMBER).take([body])

    assert objects == ()
    assert "not a STIX pattern" in refused.reason
    assert "STIX 2.0" in refused.reason
    assert refused.payload == body


def test_observables_that_refer_in_a_ring_come_to_an_end() -> None:
    ring = {
        "0": {"type": "file", "name": "a", "parent_directory_ref": "1"},
        "1": {"type": "file", "name": "b", "parent_directory_ref": "0"},
    }

    assert len(upgrade(observed(ring))) == 3


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from("01"),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "x_ref", "hashes", "name", "0"]), below)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from("012"), junk), junk)
def test_hostile_observables_never_crash(held: Stix, labels: object) -> None:
    body = json.dumps(observed(held, labels=labels)).encode()

    objects, refused = Intake("test", Tlp.AMBER).take([body])

    assert bool(objects) != bool(refused)


def test_only_what_has_no_spec_version_is_2_0() -> None:
    assert is_stix20(old("tool", name="x"))
    assert not is_stix20({**old("tool", name="x"), "spec_version": "2.1"})
    assert not is_stix20({"type": "url", "id": "url--1", "value": "a"})
    assert not is_stix20({"type": "bundle", "objects": []})
    assert not is_stix20([])


@pytest.mark.shared_data
def test_the_real_2_0_bundles_load_whole() -> None:
    for path in sorted(shared_data("cti", "stix20").glob("*.json")):
        (batch,) = BundleFiles([path], default_tlp=Tlp.AMBER).pull(None)

        assert batch.set_aside == ()
        held = {one["id"] for one in orjson.loads(path.read_bytes())["objects"]}
        assert held == {item.id for item in batch.objects}
        assert all(item.original for item in batch.objects)
        for item in batch.objects:
            stix2.parse(item.body.decode(), allow_custom=True)
