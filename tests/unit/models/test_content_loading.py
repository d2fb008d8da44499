"""Hunts and evidence from files: what is wrong is told with its place, the rest is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from huntonce.models.content import check_hunt, load_library
from huntonce.models.content_files import MAX_BYTES
from huntonce.models.errors import DomainError
from huntonce.models.setaside import InputKind, SetAside

Change = Callable[[dict[str, Any]], object]


def a_hunt() -> dict[str, Any]:
    return {
        "name": "my-hunt",
        "id": "6c1f6a52-3b1c-4e0e-9f2b-7d6f6d0c1a54",
        "version": "1",
        "title": "My hunt",
        "techniques": ["T1543.003"],
        "scope": "windows",
        "hypothesis": "Somebody installed a service that should not be there.",
        "evidence": "T1543.003",
        "records": "scheduled_task",
        "abnormal": "odd ones",
        "searches": [
            {
                "name": "registered",
                "logsource": {"product": "windows", "service": "security"},
                "detection": {"selection": {"EventID": 4698}, "condition": "selection"},
                "fields": ["TaskName"],
            }
        ],
        "analytics": [
            {
                "name": "odd",
                "type": "matches",
                "weight": 0.5,
                "family": "payload",
                "why": "ran {action}",
                "options": {"all": {"action": "x"}},
            }
        ],
        "allow": [
            {"name": "ours", "when": {"task": "^x$"}, "owner": "IT", "reason": "it is ours"},
        ],
        "detections": [
            {
                "name": "odd-rule",
                "title": "An Odd Rule",
                "description": "Detects odd things.",
                "level": "high",
                "needs": ["odd"],
                "logsource": {"product": "windows", "service": "security"},
                "detection": {"selection": {"EventID": 4698}, "condition": "selection"},
                "falsepositives": ["None known"],
            }
        ],
    }


def some_evidence() -> dict[str, Any]:
    return {
        "technique": "T1543.003",
        "version": "1",
        "provenance": "curated",
        "sources": [{"id": "audit", "remedy": {"text": "switch it on"}}],
        "groups": [
            {
                "name": "creation",
                "required": True,
                "atoms": [
                    {
                        "id": "security/4697",
                        "label": "Security 4697",
                        "gives": "service installed",
                        "channel": "Security",
                        "event_ids": [4697],
                        "source": "audit",
                        "primary": True,
                    }
                ],
            }
        ],
    }


def write(folder: Path, kind: str, name: str, document: object) -> Path:
    path = folder / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path) -> SetAside:
    """What was set aside of the folder; the shipped content is still there."""
    library = load_library([folder])
    assert library.hunt("scheduled-task-persistence") is not None
    assert "T1053.005" in library.evidence
    (item,) = library.set_aside
    assert item.kind is InputKind.HUNT
    assert item.hint
    return item


def test_what_is_shipped_is_sound() -> None:
    library = load_library()

    assert library.set_aside == ()
    for hunt in library.hunts:
        assert hunt.evidence in library.evidence
        assert all(template.needs for template in hunt.detections)


def test_the_fields_that_shipped_analytics_read_are_projected_by_the_searches() -> None:
    hunt = load_library().hunt("scheduled-task-persistence")
    assert hunt is not None
    registered = next(search for search in hunt.searches if search.name == "registered")

    assert {"TaskName", "TaskCommand", "TaskArguments", "SubjectUserSid"} <= set(registered.fields)


def test_a_folder_of_ones_own_is_added(tmp_path: Path) -> None:
    write(tmp_path, "hunts", "mine.yml", a_hunt())
    write(tmp_path, "evidence", "mine.yaml", some_evidence())

    library = load_library([tmp_path, tmp_path / "not there"])

    assert library.set_aside == ()
    assert library.hunt_for("T1543.003") is library.hunt("my-hunt")
    assert library.evidence["T1543.003"].atoms[0].remedy.text == "switch it on"
    assert library.hunt_for("T1053.005") is not None


def test_a_later_hunt_of_the_same_name_wins(tmp_path: Path) -> None:
    mine = {**a_hunt(), "name": "scheduled-task-persistence", "version": "mine"}
    write(tmp_path, "hunts", "mine.yml", mine)

    library = load_library([tmp_path])

    versions = [hunt.version for hunt in library.hunts if hunt.name == mine["name"]]
    assert versions == ["mine"]


def test_a_hunt_of_ones_own_comes_before_ours_for_its_technique(tmp_path: Path) -> None:
    write(tmp_path, "hunts", "mine.yml", {**a_hunt(), "name": "zzz-mine"})

    found = load_library([tmp_path]).hunt_for("T1543.003")

    assert found is not None
    assert found.name == "zzz-mine"


def test_allow_lists_and_baselines_are_data_of_a_folder(tmp_path: Path) -> None:
    entry = {"name": "our-service", "hunts": ["windows-services"], "when": {"service": "^Ours$"},
             "owner": "IT", "reason": "it is ours", "expires": "2027-01-01"}  # fmt: skip
    span = {"name": "quiet-march", "start": "2026-03-01", "end": "2026-03-15", "owner": "IT",
            "reason": "looked through by hand"}  # fmt: skip
    write(tmp_path, "allow", "ours.yml", {"allow": [entry], "baselines": [span]})
    write(tmp_path, "allow", "worse.yml", {"baselines": [{**span, "end": "2026-02-01"}]})

    library = load_library([tmp_path])

    hunt, other = library.hunt("windows-services"), library.hunt("dcsync")
    assert hunt is not None
    assert other is not None
    assert [one.name for one in hunt.allow] == ["our-service"]
    assert other.allow == ()
    assert library.baselines["quiet-march"].owner == "IT"
    assert [item.place for item in library.set_aside] == ["baselines/quiet-march"]


def test_bad_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "hunts", "bad.yml", "name: x\nversion: [1\ntitle: y\n")

    item = refused(tmp_path)

    assert item.source == str(path)
    assert item.place == "line 3"


def test_a_fault_against_the_schema_is_told_with_its_place(tmp_path: Path) -> None:
    bad = a_hunt()
    bad["analytics"][0]["weight"] = 3
    write(tmp_path, "hunts", "bad.yml", bad)
    write(tmp_path, "hunts", "good.yml", a_hunt())

    item = refused(tmp_path)

    assert item.place == "analytics/0/weight"
    assert "3 is greater than the maximum of 1" in item.reason
    assert load_library([tmp_path]).hunt("my-hunt") is not None


def at(*path: Any, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        target: Any = document
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value

    return change


def twice(part: str) -> Change:
    return lambda document: document[part].append(dict(document[part][0]))


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        (at("analytics", 0, "type", value="magic"), "analytics/odd", "unknown type 'magic'"),
        (
            at("analytics", 0, "options", value={"all": {"action": "("}}),
            "analytics/odd",
            "not a regular expression",
        ),
        (at("analytics", 0, "why", value="ran {a.b}"), "analytics/odd", "a placeholder is {name}"),
        (at("analytics", 0, "why", value="ran {a"), "analytics/odd", "expected '}'"),
        (at("allow", 0, "when", value={"task": "["}), "allow/ours", "not a regular expression"),
        (at("allow", 0, "expires", value="2026-13-01"), "allow/ours", "month must be in 1..12"),
        (at("detections", 0, "needs", value=["evn"]), "detections/odd-rule", "called 'evn'"),
        (at("records", value="services"), "records", "unknown kind 'services'"),
        (twice("analytics"), "analytics", "two are called 'odd'"),
        (twice("detections"), "detections", "two are called 'odd-rule'"),
        (lambda d: d.pop("title"), "top level", "'title' is a required property"),
        (at("extra", value=1), "top level", "'extra' was unexpected"),
    ],
)
def test_a_hunt_that_could_not_run_is_refused_when_it_is_read(
    tmp_path: Path, change: Change, place: str, reason: str
) -> None:
    bad = a_hunt()
    change(bad)
    path = write(tmp_path, "hunts", "bad.yml", bad)

    item = refused(tmp_path)

    assert item.place == place
    assert reason in item.reason
    with pytest.raises(DomainError, match=r"bad\.yml"):
        check_hunt(path)


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        (
            at("groups", 0, "atoms", 0, "source", value="other"),
            "groups/creation/security/4697",
            "no source 'other'",
        ),
        (
            at("groups", 0, "atoms", 0, "where", value={"selection": {"A": "b"}}),
            "groups/creation/security/4697",
            "no condition",
        ),
        (at("groups", 0, "required", value=False), "whole file", "without a required group"),
        (at("groups", 0, "atoms", value=[]), "groups/0/atoms", "should be non-empty"),
    ],
)
def test_evidence_that_could_not_be_probed_is_refused(
    tmp_path: Path, change: Change, place: str, reason: str
) -> None:
    bad = some_evidence()
    change(bad)
    write(tmp_path, "evidence", "bad.yml", bad)

    item = refused(tmp_path)

    assert item.place == place
    assert reason in item.reason


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "- a list",
        "1: a number as key",
        "allow: [{expires: 2026-99-99}]",
        "x: !!python/object/apply:os.system [id]",
        "? {a: b}\n: c",
        BOMB,
        "[" * 5000,
        "\x00",
    ],
    ids=["empty", "text", "list", "key", "date", "python", "complex key", "bomb", "deep", "nul"],
)
def test_hostile_files_are_set_aside_at_once(tmp_path: Path, text: str) -> None:
    write(tmp_path, "hunts", "bad.yml", text)

    assert refused(tmp_path).reason


def test_a_file_that_is_too_large_or_no_text_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path, "hunts", "large.yml", "#" * (MAX_BYTES + 1))
    (tmp_path / "hunts" / "binary.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "hunts" / "folder.yml").mkdir()

    found = load_library([tmp_path]).set_aside

    assert sorted(Path(item.source).name for item in found) == [
        "binary.yml",
        "folder.yml",
        "large.yml",
    ]
