import hashlib
import json
import os
from pathlib import Path

import pytest

from huntonce.connectors.detections.folder import Drift, RuleFolder
from huntonce.connectors.detections.memory import MemoryDetections
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.ports import DetectionStore

Kept = RuleFolder | MemoryDetections
ID = "2f6a8c1e-0000-4000-8000-00000000abcd"
OTHER = "2f6a8c1e-0000-4000-8000-00000000abce"
RULE = "title: A task\nid: " + ID + "\n"


def detection(rule_id: str = ID, **more: object) -> dict[str, object]:
    basis = {
        "rule_id": rule_id,
        "title": "A task",
        "rule": RULE,
        "certificate": {"holds": True, "days": 7.0},
        "filters": [],
    }
    return {**basis, **more}


@pytest.fixture(params=["memory", "folder"])
def rules(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return MemoryDetections() if request.param == "memory" else RuleFolder(tmp_path / "rules")


@pytest.fixture
def folder(tmp_path: Path) -> RuleFolder:
    return RuleFolder(tmp_path)


def contents(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_a_store_is_what_the_port_asks_for(rules: Kept) -> None:
    def name(port: DetectionStore) -> str:
        return port.name

    assert name(rules)


def test_a_rule_is_found_by_its_id_once_deployed(rules: Kept) -> None:
    assert rules.find(ID) is None

    assert rules.deploy(ID, detection()) == ID

    assert rules.find(ID) == ID
    assert rules.find(OTHER) is None


def test_deploying_twice_is_one_rule(rules: Kept) -> None:
    assert rules.deploy(ID, detection()) == rules.deploy(ID, detection())


def test_a_rule_whose_answer_was_lost_is_found(rules: Kept) -> None:
    if isinstance(rules, MemoryDetections):
        rules.fail_after = 1
        with pytest.raises(TransientError):
            rules.deploy(ID, detection())
    else:
        rules.deploy(ID, detection())  # and the sender dies here

    assert rules.find(ID) == ID


def test_a_retired_rule_is_gone_and_may_come_back(rules: Kept) -> None:
    rules.deploy(ID, detection())

    rules.retire(ID)
    rules.retire(ID)
    assert rules.find(ID) is None

    rules.deploy(ID, detection())
    assert rules.find(ID) == ID


def test_a_rule_that_is_not_there_cannot_be_retired(rules: Kept) -> None:
    with pytest.raises(TerminalError):
        rules.retire(OTHER)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", ID + "/..", "name", ID + "\n", "C:x"])
def test_a_key_that_is_no_uuid_is_refused(rules: Kept, key: str) -> None:
    with pytest.raises(TerminalError):
        rules.deploy(key, detection(key))
    assert rules.find(key) is None


def test_a_detection_of_another_rule_is_refused(rules: Kept) -> None:
    with pytest.raises(TerminalError):
        rules.deploy(ID, detection(OTHER))


@pytest.mark.parametrize("rule", ["", None])
def test_a_detection_without_a_rule_is_refused(rules: Kept, rule: object) -> None:
    with pytest.raises(TerminalError):
        rules.deploy(ID, detection(rule=rule))
    assert rules.find(ID) is None


def test_the_folder_holds_rule_certificate_and_hashes(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection())

    files = contents(tmp_path)
    assert set(files) == {f"{ID}.yml", f"{ID}.certificate.json", f"{ID}.sha256"}
    assert files[f"{ID}.yml"] == RULE.encode()
    assert json.loads(files[f"{ID}.certificate.json"]) == {"holds": True, "days": 7.0}
    line = f"{hashlib.sha256(RULE.encode()).hexdigest()}  {ID}.yml\n"
    assert files[f"{ID}.sha256"].decode().startswith(line)
    assert folder.rules() == (ID,)


def test_upper_case_is_the_same_rule(folder: RuleFolder) -> None:
    assert folder.deploy(ID.upper(), detection(ID.upper())) == ID
    assert folder.find(ID.upper()) == ID


def test_filters_are_kept_beside_the_rule_and_go_when_there_are_none(
    folder: RuleFolder, tmp_path: Path
) -> None:
    folder.deploy(ID, detection(filters=["title: one", "title: two\n"]))
    assert (tmp_path / f"{ID}.filters.yml").read_text() == "title: one\n---\ntitle: two\n"
    assert folder.rules() == (ID,)

    folder.deploy(ID, detection())
    assert not (tmp_path / f"{ID}.filters.yml").exists()
    assert folder.drift() == ()


def test_the_same_content_again_touches_no_file(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection())
    for file in tmp_path.iterdir():
        os.utime(file, (1, 1))

    folder.deploy(ID, detection())

    assert {file.stat().st_mtime for file in tmp_path.iterdir()} == {1.0}


def test_a_new_version_replaces_the_old(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection())
    folder.deploy(ID, detection(rule=RULE + "level: high\n"))

    assert "level: high" in (tmp_path / f"{ID}.yml").read_text()
    assert folder.drift() == ()


def test_drift_names_what_a_person_changed_or_removed(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection())
    folder.deploy(OTHER, detection(OTHER))
    assert folder.drift() == ()

    (tmp_path / f"{ID}.yml").write_text("title: mine\n")
    (tmp_path / f"{OTHER}.certificate.json").unlink()
    (tmp_path / "somebody-elses.yml").write_text("title: theirs\n")

    assert folder.drift() == (
        Drift(rule_id=ID, file=f"{ID}.yml", why="changed"),
        Drift(rule_id=OTHER, file=f"{OTHER}.certificate.json", why="missing"),
    )


def test_deploying_again_mends_drift(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection())
    (tmp_path / f"{ID}.yml").write_text("title: mine\n")

    folder.deploy(ID, detection())

    assert folder.drift() == ()


def test_forged_hashes_lead_nowhere(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection())
    (tmp_path / f"{ID}.sha256").write_text(f"{'0' * 64}  ../../../etc/passwd\nnonsense\n")

    assert {drift.why for drift in folder.drift()} == {"unknown"}


def test_retiring_moves_every_file(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection(filters=["title: one"]))
    before = contents(tmp_path)

    folder.retire(ID)

    assert contents(tmp_path) == {f"retired/{name}": text for name, text in before.items()}
    assert folder.rules() == ()


def test_a_retirement_that_was_cut_short_is_finished(folder: RuleFolder, tmp_path: Path) -> None:
    folder.deploy(ID, detection())
    (tmp_path / "retired").mkdir()
    (tmp_path / f"{ID}.yml").rename(tmp_path / "retired" / f"{ID}.yml")

    folder.retire(ID)

    assert [file.name for file in tmp_path.iterdir()] == ["retired"]


def test_a_certificate_that_json_cannot_say_leaves_nothing_behind(
    folder: RuleFolder, tmp_path: Path
) -> None:
    for certificate in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises(TerminalError, match="certificate"):
            folder.deploy(ID, detection(certificate=certificate))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_a_fault_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = RuleFolder(tmp_path / "file" / "rules")

    with pytest.raises(TerminalError) as caught:
        folder.deploy(ID, detection())

    assert caught.value.hint


def test_the_memory_store_fails_as_told() -> None:
    slept: list[float] = []
    rules = MemoryDetections(sleep=slept.append)

    rules.fail_before = 1
    with pytest.raises(TransientError):
        rules.deploy(ID, detection())
    assert rules.find(ID) is None

    rules.delay = 2.5
    rules.find(ID)
    assert slept == [2.5]

    rules.refuse = "no rights"
    with pytest.raises(TerminalError, match="no rights"):
        rules.find(ID)
