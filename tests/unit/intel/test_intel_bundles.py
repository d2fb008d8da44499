import gzip
import json
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.intel.batch import IntelBatch
from huntonce.connectors.intel.bundles import BundleFiles
from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.scan import scan
from huntonce.models.errors import ConfigError
from huntonce.models.tlp import Tlp
from tests.support.shared import shared_data


def bundle(*bodies: bytes) -> bytes:
    return b'{"type": "bundle", "id": "bundle--1", "objects": [' + b" ,\n".join(bodies) + b"]}"


def load(*paths: Path, max_bytes: int = 10_000_000) -> list[IntelBatch]:
    return list(BundleFiles(paths, default_tlp=Tlp.AMBER, max_bytes=max_bytes).pull(None))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_bad_object_costs_itself_and_says_where(tmp_path: Path) -> None:
    good = demo_intel()[:2]
    path = write(tmp_path / "b.json", bundle(good[0], faulty_intel(), b"17", good[1]))

    (batch,) = load(path)

    assert [one.body for one in batch.objects] == list(good)
    assert [one.place for one in batch.set_aside] == [
        f"object 2 {json.loads(faulty_intel())['id']}",
        "object 3",
    ]
    assert batch.set_aside[0].reason == "has no valid_from"
    assert batch.set_aside[0].source == str(path)
    assert batch.set_aside[0].payload == faulty_intel()


def test_bodies_are_byte_faithful(tmp_path: Path) -> None:
    odd = demo_intel()[0].replace(b'"type"', b'\t"type"  ').replace(b"TLP", b"\\u0054LP")

    (batch,) = load(write(tmp_path / "b.json", bundle(odd)))

    assert batch.objects[0].body == odd


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"[]", "not a STIX bundle"),
        (b"{}", "not a STIX bundle"),
        (b'{"type": "bundle"', "not JSON"),
        (b'{"type": "indicator", "id": "x"}', "a single indicator"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_bundle_is_set_aside(tmp_path: Path, data: bytes, reason: str) -> None:
    good = write(tmp_path / "z.json", bundle(demo_intel()[0]))

    first, second = load(write(tmp_path / "a.json", data), good)

    assert reason in first.set_aside[0].reason
    assert first.set_aside[0].place == "file"
    assert len(second.objects) == 1


def test_a_file_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    data = bundle(*demo_intel()[:3])

    (batch,) = load(write(tmp_path / "b.json", data[: data.rindex(b"spec_version")]))

    assert len(batch.objects) == 2
    assert batch.set_aside[0].place == "after object 2"


def test_a_folder_and_gzip_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "b.json.gz", gzip.compress(bundle(demo_intel()[1])))
    write(tmp_path / "a.json", b"\xef\xbb\xbf" + bundle(demo_intel()[0]))
    write(tmp_path / "readme.txt", b"not intel")

    batches = load(tmp_path)

    assert [one.body for batch in batches for one in batch.objects] == list(demo_intel()[:2])
    assert [batch.cursor for batch in batches] == [None, None]


def test_a_gzip_bomb_and_a_damaged_gzip_are_set_aside(tmp_path: Path) -> None:
    bomb = write(tmp_path / "a.json.gz", gzip.compress(b" " * 5_000_000))
    torn = write(tmp_path / "b.json.gz", gzip.compress(bundle(*demo_intel()))[:-200])

    first, second = load(bomb, torn, max_bytes=100_000)

    assert "larger than 100000 bytes" in first.set_aside[0].reason
    assert "cannot be read" in second.set_aside[0].reason


def test_a_taxii_envelope_in_a_file_is_taken(tmp_path: Path) -> None:
    (batch,) = load(
        write(tmp_path / "e.json", b'{"more":false,"objects":[' + demo_intel()[0] + b"]}")
    )

    assert len(batch.objects) == 1


def test_a_path_that_is_not_there_is_the_person_s_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "gone.json")


def test_a_marking_defined_in_the_same_file_counts_wherever_it_stands(tmp_path: Path) -> None:
    mark = "marking-definition--00000000-0000-4000-8000-000000000001"
    marked = orjson.dumps({**orjson.loads(demo_intel()[10]), "object_marking_refs": [mark]})
    definition = orjson.dumps(
        {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": mark,
            "created": "2026-01-01T00:00:00.000Z",
            "definition_type": "tlp",
            "definition": {"tlp": "red"},
        }
    )

    (batch,) = load(write(tmp_path / "b.json", bundle(marked, definition)))

    assert batch.objects[0].tlp is Tlp.RED


@pytest.mark.shared_data
def test_every_real_bundle_loads_or_says_what_is_wrong() -> None:
    folder = shared_data("cti")
    batches = load(folder)

    objects = sum(len(batch.objects) for batch in batches)
    reasons = [one.reason for batch in batches for one in batch.set_aside]
    assert objects > 10_000
    assert all("STIX" in one or "bundle" in one or "must be" in one for one in reasons)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below),
    max_leaves=8,
)


@given(st.lists(values, max_size=5), st.sampled_from([None, 1]))
def test_the_pieces_are_the_document_s_own(items: list[object], indent: int | None) -> None:
    data = json.dumps({"a": "[{", "objects": items, "b": [1]}, indent=indent).encode()

    document = scan(data)

    assert document.fault == ""
    assert [orjson.loads(one) for one in document.objects] == items
    assert all(one in data for one in document.objects)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:objects 1', max_size=60).map(str.encode))
def test_scanning_never_crashes(data: bytes) -> None:
    document = scan(data)

    assert isinstance(document.fault, str)
