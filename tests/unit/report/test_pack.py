"""A pack holds all of a hunt's evidence, tells which line was touched, and holds no secret."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.flows.bootstrap import Home
from huntonce.flows.packing import read_pack, write_pack
from huntonce.models.errors import ConfigError, DomainError
from huntonce.models.gap import GapState
from huntonce.models.report.pack import CHAIN, chain_of, faults, head_of
from tests.unit.report.report_examples import WHO, Turning, fill

PASSWORD = "Taxi-Pa55word-of-this-home"
LINE = "schtasks /create /s HOST /u A\\b /p Secret99! /tn x"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack")
    (path / "huntonce.toml").write_text(f'[taxii]\nusername = "isac"\npassword = "{PASSWORD}"\n')
    made = Home(path=path, clock=Turning())
    fill(made.store, Turning(), f"words and {PASSWORD}")
    with made.store.unit() as unit:
        found = unit.findings.list()[0]
        unit.findings.save(replace(found, details={"command": LINE}), **WHO)
        gap = unit.gaps.list()[0]
        state = replace(gap, state=GapState.ACCEPTED, accepted=True)
        unit.gaps.save(state, actor="tester", why=f"told {PASSWORD}")
        unit.commit()
    made.close()
    return path


@pytest.fixture
def packed(home: Path, tmp_path: Path) -> Path:
    made = Home(path=home, clock=Turning())
    path = write_pack(made, "H-1", tmp_path / "pack.zip").path
    made.close()
    return path


def test_a_pack_holds_everything_of_a_hypothesis(packed: Path) -> None:
    files = read_pack(packed)
    sizes = {name: len(lines) for name, lines in files.items()}

    for name in ("hypothesis", "hunts", "queries", "findings", "cases", "intel"):
        assert sizes[f"{name}.jsonl"] == 1, name
    assert (sizes["gaps.jsonl"], sizes["detections.jsonl"], sizes["rows.jsonl"]) == (2, 2, 2)
    assert sizes["publications.jsonl"] == 2
    assert json.loads(files["hunts.jsonl"][0])["power"]["value"] == 0.95
    assert "no longer held" in files["rows.jsonl"][0]
    subjects = {json.loads(line)["subject"] for line in files["log.jsonl"]}
    assert {"H-1", "HUNT-1", "F-1", "GAP-1", "D-1", "CASE-1", "PUB-1"} <= subjects
    assert "H-2" not in subjects


def test_no_secret_is_in_it(packed: Path) -> None:
    with zipfile.ZipFile(packed) as opened:
        content = {name: opened.read(name) for name in opened.namelist()}

    for name, data in content.items():
        assert PASSWORD.encode() not in data, name
        assert b"Secret99!" not in data, name
    assert b"[password hidden]" in content["findings.jsonl"]


def changed(packed: Path, name: str, lines: list[str] | None) -> Path:
    """The pack with one file replaced (None = without it)."""
    files = {**read_pack(packed)}
    if lines is None:
        del files[name]
    else:
        files[name] = lines
    other = packed.with_name("touched.zip")
    with zipfile.ZipFile(other, "w") as made:
        for file, text in files.items():
            made.writestr(file, "".join(f"{line}\n" for line in text))
    return other


def verify(home: Path, path: Path, *more: str) -> tuple[int, list[tuple[str, int]]]:
    answer = CliRunner().invoke(
        app, ["pack", "verify", str(path), "--home", str(home), "--json", *more]
    )
    document = json.loads(answer.output)
    return answer.exit_code, [(f["file"], f["line"]) for f in document["faults"]]


def test_what_was_not_touched_is_whole(home: Path, packed: Path) -> None:
    head = head_of(read_pack(packed)[CHAIN])

    assert verify(home, packed) == (0, [])
    assert verify(home, packed, "--here", "--head", head) == (0, [])


def test_the_line_that_was_tampered_with_is_named(home: Path, packed: Path) -> None:
    lines = list(read_pack(packed)["gaps.jsonl"])
    lines[1] = lines[1].replace("240", "241")

    assert verify(home, changed(packed, "gaps.jsonl", lines)) == (1, [("gaps.jsonl", 2)])
    assert verify(home, changed(packed, "gaps.jsonl", lines[:1])) == (1, [("gaps.jsonl", 2)])
    assert verify(home, changed(packed, "gaps.jsonl", None)) == (1, [("gaps.jsonl", 0)])
    assert verify(home, changed(packed, "extra.jsonl", ["{}"])) == (1, [("extra.jsonl", 0)])


def test_a_chain_written_anew_ends_at_another_head(home: Path, packed: Path) -> None:
    files = {**read_pack(packed)}
    head = head_of(files.pop(CHAIN))
    log = list(files["log.jsonl"])
    row = json.loads(log[2])
    log[2] = json.dumps({**row, "actor": "somebody else"})
    files["log.jsonl"] = log
    forged = changed(packed, "log.jsonl", log)
    forged = changed(forged, CHAIN, list(chain_of(files)))

    code, found = verify(home, forged, "--head", head)
    assert code == 1
    assert ("log.jsonl", 3) in found
    assert any(file == CHAIN for file, _ in found)


def test_a_log_forged_with_all_its_hashes_is_not_that_of_the_home(home: Path, packed: Path) -> None:
    log = list(read_pack(packed)["log.jsonl"])
    log[0] = json.dumps({**json.loads(log[0]), "hash": "0" * 64})

    code, found = verify(home, changed(packed, "log.jsonl", log), "--here")
    assert code == 1
    assert ("log.jsonl", 1) in found


def test_a_hunt_is_packed_alone_with_what_came_of_it(home: Path, tmp_path: Path) -> None:
    made = Home(path=home, clock=Turning())
    with made.store.unit() as unit:
        run = next(run for run in unit.hunts.list() if run.finding_ids or run.case_ids)
    files = read_pack(write_pack(made, run.id.lower(), tmp_path / "pack.zip").path)
    made.close()

    ids = {
        name: {json.loads(line)["id"] for line in files[f"{name}.jsonl"]}
        for name in ("hunts", "gaps", "detections", "cases")
    }
    assert ids["hunts"] == {run.id}
    assert ids["gaps"] == set(run.gap_ids)
    assert ids["detections"] == set(run.detection_ids)
    assert ids["cases"] == set(run.case_ids)
    assert run.id in {json.loads(line)["subject"] for line in files["log.jsonl"]}


def test_a_case_is_packed_by_either_name_and_nothing_else_is(home: Path, tmp_path: Path) -> None:
    made = Home(path=home, clock=Turning())
    one, other = (write_pack(made, name, tmp_path / name) for name in ("CASE-1", "c-1"))
    with pytest.raises(DomainError):
        write_pack(made, "H-99", tmp_path / "none")
    made.close()

    assert one.path.read_bytes() == other.path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04broken"])
def test_what_is_no_pack_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        read_pack(path)


FILES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(st.text(st.characters(exclude_characters="\n")), min_size=1, max_size=5),
    min_size=1,
)


@given(FILES, st.data())
def test_any_single_change_is_found_at_its_line(
    files: dict[str, list[str]], data: st.DataObject
) -> None:
    chain = chain_of(files)
    assert faults(files, chain, head_of(chain)) == ()
    name = data.draw(st.sampled_from(sorted(files)))
    line = data.draw(st.integers(0, len(files[name]) - 1))
    text = data.draw(
        st.text(st.characters(exclude_characters="\n")).filter(lambda t: t != files[name][line])
    )
    touched = {**files, name: [*files[name][:line], text, *files[name][line + 1 :]]}

    (fault,) = faults(touched, chain)
    assert (fault.file, fault.line) == (name, line + 1)
