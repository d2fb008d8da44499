import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from huntonce.connectors.detections.folder import Drift, RuleFolder
from huntonce.connectors.detections.git import GitRules
from huntonce.connectors.detections.memory import MemoryDetections
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.ports import DetectionStore, ReadableStore

Kept = RuleFolder | MemoryDetections | GitRules
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


GIT = shutil.which("git")


def git(path: Path, *arguments: str) -> str:
    """What git says, for the tests to look at."""
    if GIT is None:
        pytest.skip("the program git is not here")
    done = subprocess.run(
        [GIT, *arguments], cwd=path, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout


@pytest.fixture(params=["memory", "folder", "git"])
def rules(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "git":
        if GIT is None:
            pytest.skip("the program git is not here")
        return GitRules(tmp_path / "rules")
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


def test_what_a_person_changed_is_written_over_only_when_told_so(
    folder: RuleFolder, tmp_path: Path
) -> None:
    folder.deploy(ID, detection())
    (tmp_path / f"{ID}.yml").write_text("title: mine\n")

    with pytest.raises(TerminalError, match="changed by hand") as caught:
        folder.deploy(ID, detection(rule=RULE + "level: low\n"))
    assert "drift" in caught.value.hint
    assert (tmp_path / f"{ID}.yml").read_text() == "title: mine\n"

    folder.deploy(ID, detection(overwrite=True))
    assert folder.drift() == ()
    assert (tmp_path / f"{ID}.yml").read_text() == RULE


def test_a_write_that_was_cut_short_is_no_person_s_change(
    folder: RuleFolder, tmp_path: Path
) -> None:
    folder.deploy(ID, detection())
    fresh = detection(rule=RULE + "level: low\n", certificate={"holds": False})
    (tmp_path / f"{ID}.yml").write_text(RULE + "level: low\n")  # and the writer dies here

    folder.deploy(ID, fresh)

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


# ---------------------------------------------------------------- read back


def test_a_store_gives_back_what_it_was_given(rules: Kept) -> None:
    assert isinstance(rules, ReadableStore)
    assert rules.kept(ID) is None
    fixtures = [{"uid": "e1", "malicious": True, "original": "{}"}]

    rules.deploy(ID, detection(filters=["title: one"], fixtures=fixtures, hunt={"hunt": "a"}))

    kept = rules.kept(ID)
    assert kept is not None
    assert kept["rule"].rstrip() == RULE.rstrip()
    assert kept["filters"].rstrip() == "title: one"
    assert json.loads(kept["certificate"]) == {"holds": True, "days": 7.0}
    assert json.loads(kept["fixtures"]) == fixtures
    assert json.loads(kept["hunt"]) == {"hunt": "a"}
    assert list(rules.rules()) == [ID]


def test_a_retired_rule_is_not_given_back(rules: Kept) -> None:
    rules.deploy(ID, detection())
    rules.retire(ID)

    assert isinstance(rules, ReadableStore)
    assert rules.kept(ID) is None
    assert list(rules.rules()) == []


# ---------------------------------------------------------------- git


def test_a_promotion_is_one_commit_and_the_same_again_is_none(tmp_path: Path) -> None:
    rules = GitRules(tmp_path, author="Us <us@example.org>")

    rules.deploy(ID, detection(detection="D-1", state="test"))
    rules.deploy(ID, detection(detection="D-1", state="test"))
    assert git(tmp_path, "log", "--format=%s|%an|%ae") == "D-1 test: A task|Us|us@example.org\n"

    rules.deploy(ID, detection(detection="D-1", state="test", rule=RULE + "level: low\n"))
    rules.retire(ID)
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "3\n"
    assert git(tmp_path, "status", "--porcelain") == ""
    assert f"retired/{ID}.yml" in git(tmp_path, "ls-files")


def test_only_the_rule_s_own_files_are_committed(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "theirs.txt").write_text("not done yet")
    git(tmp_path, "add", "theirs.txt")

    GitRules(tmp_path).deploy(ID, detection())

    assert git(tmp_path, "status", "--porcelain") == "A  theirs.txt\n"


def test_hooks_of_the_repository_do_not_run(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction"):
        hook = tmp_path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\ntouch ran-a-hook\nexit 1\n")
        hook.chmod(0o755)

    GitRules(tmp_path).deploy(ID, detection())

    assert not (tmp_path / "ran-a-hook").exists()
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1\n"


@pytest.mark.parametrize("title", ["--amend", "$(touch x)", "a\nb\n\nCo-authored: x", ""])
def test_a_title_is_text_and_never_an_option(tmp_path: Path, title: str) -> None:
    GitRules(tmp_path).deploy(ID, detection(title=title))

    subject = git(tmp_path, "log", "--format=%s").rstrip("\n")
    assert subject == f"{ID} deployed: {' '.join(title.split())}"[:72].rstrip()
    assert {file.name for file in tmp_path.iterdir()} <= {
        ".git", f"{ID}.yml", f"{ID}.sha256", f"{ID}.certificate.json"
    }  # fmt: skip


def test_commits_are_pushed_where_a_remote_is_named(tmp_path: Path) -> None:
    far, near = tmp_path / "far.git", tmp_path / "near"
    near.mkdir()
    git(tmp_path, "init", "--quiet", "--bare", str(far))
    git(near, "init", "--quiet")
    git(near, "remote", "add", "origin", str(far))

    GitRules(near, remote="origin").deploy(ID, detection())

    assert git(far, "rev-list", "--count", "--all") == "1\n"


def test_a_remote_that_cannot_be_reached_may_be_tried_again(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", str(tmp_path / "nowhere"))

    with pytest.raises(TransientError, match="git push"):
        GitRules(tmp_path, remote="origin").deploy(ID, detection())

    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1\n"
