"""A newer ATT&CK: what is stored moves to what its technique became, and is not hunted again."""

import copy
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from huntonce.models.attack import Catalogue, load_catalogue, read_catalogue
from huntonce.models.attack_data import pack
from huntonce.models.case import Case
from huntonce.models.detection import Deployment, Detection, DetectionState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict, fingerprint
from huntonce.models.intel import SourceRef
from huntonce.models.ledger import Answer, Versions, consult
from huntonce.models.stages.attack import MITRE, migrate, stored_attack
from huntonce.models.stages.hypothesise import hypothesise
from huntonce.models.tlp import Tlp
from huntonce.models.windows import HOUR, Window
from tests.support.builders import T0, window
from tests.support.kits import Bench, bench, with_kit
from tests.unit.deriving.conftest import build

pytestmark = pytest.mark.integration
DAY = window(24)


def newer(*, renamed: dict[str, str] | None = None, gone: tuple[str, ...] = ()) -> Catalogue:
    """The shipped ATT&CK as a version 19 would be: T1562.001 became T1685, T1112 another name."""
    packed = files("huntonce.content") / "attack" / "enterprise-18.1.json.gz"
    document = json.loads(gzip.decompress(packed.read_bytes()))
    document["attack"] = "19.0"
    rows = {row["id"]: row for row in document["techniques"]}
    successor = {**copy.deepcopy(rows["T1562.001"]), "id": "T1685", "stix": "attack-pattern--new"}
    rows["T1562.001"] |= {"state": "revoked", "by": "T1685"}
    rows["T1685"] = successor
    for technique_id, name in (renamed or {}).items():
        rows[technique_id]["name"] = name
    for technique_id in gone:
        rows[technique_id]["state"] = "deprecated"
    document["techniques"] = [rows[key] for key in sorted(rows)]
    return read_catalogue(pack(document))


def source(name: str) -> SourceRef:
    return SourceRef(
        object_id=f"relationship--{name}",
        object_type="relationship",
        name=name,
        feed="feed",
        tlp=Tlp.GREEN,
        modified=T0,
    )


def hypothesis(technique_id: str, *names: str, **more: Any) -> Hypothesis:
    values = {
        "technique_name": load_catalogue().name(technique_id),
        "scope": "windows",
        "statement": f"HERON does it ({technique_id}).",
        "state": HypothesisState.CONCLUDED,
        "verdict": Verdict.RULED_OUT,
        "logic_version": "1",
        "attack_version": "18.1",
        "sources": tuple(source(name) for name in names),
        "hunted": ((DAY.start.isoformat(), DAY.end.isoformat(), "lake"),),
        **more,
    }
    return Hypothesis(technique_id=technique_id, **values)


Store = Callable[..., None]


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    return bench(tmp_path)


@pytest.fixture
def put(made: Bench) -> Store:
    def store(*items: Hypothesis) -> None:
        with made.unit() as unit:
            for item in items:
                unit.hypotheses.add(item, actor="test", why="test")
            unit.commit()

    return store


def stored(made: Bench, technique_id: str) -> Hypothesis | None:
    with made.unit() as unit:
        return unit.hypotheses.by_key(fingerprint(technique_id, "windows"))


def on_v19(made: Bench, **changes: Any) -> Bench:
    return with_kit(made, catalogue=newer(**changes))


def test_a_revoked_technique_hands_sources_windows_and_verdict_on(made: Bench, put: Store) -> None:
    put(hypothesis("T1562.001", "old"))

    done = migrate(on_v19(made).kit)

    assert [(m.before, m.after) for m in done.moved] == [("T1562.001", "T1685")]
    old, new = stored(made, "T1562.001"), stored(made, "T1685")
    assert old is not None
    assert new is not None
    assert old.state is HypothesisState.SUPERSEDED
    assert (new.hunted, new.verdict, new.sources) == (old.hunted, old.verdict, old.sources)
    assert "(T1685)" in new.statement
    assert old.sources == (source("old"),)


def test_what_was_hunted_under_the_old_id_is_not_hunted_again(made: Bench, put: Store) -> None:
    put(hypothesis("T1562.001"), hypothesis("T1112"))
    migrate(on_v19(made, renamed={"T1112": "Change Registry"}).kit)

    for technique_id in ("T1685", "T1112"):
        answer = consult(
            stored(made, technique_id),
            wanted=Window(DAY.start, DAY.end + 2 * HOUR),
            versions=Versions(logic="1", attack="19.0"),
        )
        assert answer.answer is Answer.CONCLUDED
        assert answer.windows == (Window(DAY.end, DAY.end + 2 * HOUR),)
    renamed = stored(made, "T1112")
    assert renamed is not None
    assert renamed.technique_name == "Change Registry"


def test_a_successor_that_is_known_already_joins_both_histories(made: Bench, put: Store) -> None:
    later = Window(DAY.end, DAY.end + HOUR)
    put(
        hypothesis("T1562.001", "old", verdict=Verdict.CONFIRMED_MALICIOUS, priority=0.9),
        hypothesis(
            "T1685",
            "new",
            hunted=((later.start.isoformat(), later.end.isoformat(), "lake"),),
            priority=0.2,
            attack_version="19.0",
        ),
    )

    migrate(on_v19(made).kit)

    joined = stored(made, "T1685")
    assert joined is not None
    assert {s.name for s in joined.sources} == {"old", "new"}
    assert joined.hunted == ((DAY.start.isoformat(), later.end.isoformat(), "lake"),)
    assert joined.verdict is Verdict.CONFIRMED_MALICIOUS
    assert joined.priority == 0.9


def test_guards_cases_and_waiting_gaps_follow(made: Bench, put: Store) -> None:
    put(hypothesis("T1562.001"))
    key = fingerprint("T1562.001", "windows")
    with made.unit() as unit:
        unit.detections.add(
            Detection(
                rule_id="r",
                title="t",
                technique_ids=("T1562.001",),
                hypothesis_key=key,
                hunt_name="h",
                analytic="a",
                level="high",
                rule="title: t",
                atoms=(),
                state=DetectionState.EXPERIMENTAL,
                certificate=None,
                deployments=(Deployment(siem="lake", desired="enabled", observed="enabled"),),
            ),
            actor="test",
            why="test",
        )
        unit.cases.add(
            Case(
                natural_key="c",
                title="t",
                summary="s",
                hypothesis_key=key,
                finding_ids=(),
                technique_ids=("T1562.001",),
                severity="high",
                tlp=Tlp.AMBER,
                hosts=(),
                accounts=(),
                observables=(),
                events=(),
                first=T0,
                last=T0,
                desk="memory",
                detection_ids=(),
                actors=(),
                source_ids=(),
            ),
            actor="test",
            why="test",
        )
        unit.commit()

    migrate(on_v19(made).kit)

    with made.unit() as unit:
        (detection,), (case,) = unit.detections.list(), unit.cases.list()
    assert detection.hypothesis_key == case.hypothesis_key == fingerprint("T1685", "windows")
    assert detection.technique_ids == ("T1685",)


def test_a_second_migration_changes_nothing(made: Bench, put: Store) -> None:
    put(hypothesis("T1562.001"), hypothesis("T1112"))
    on = on_v19(made)
    migrate(on.kit)
    with made.unit() as unit:
        before, log = unit.hypotheses.list(), len(unit.log.rows())

    again = migrate(on.kit)

    assert again.moved == ()
    assert again.kept == 2
    with made.unit() as unit:
        assert unit.hypotheses.list() == before
        assert len(unit.log.rows()) == log
        assert unit.log.verify() is None


def test_what_has_no_successor_or_is_being_hunted_is_left_and_told(made: Bench, put: Store) -> None:
    put(
        hypothesis("T1562.001", state=HypothesisState.HUNTING),
        hypothesis("T1112"),
        hypothesis("T9999", technique_name="odd"),
    )

    done = migrate(on_v19(made, gone=("T1112",)).kit)

    assert done.moved == ()
    whys = {m.before: m.why for m in done.left}
    assert "being hunted" in whys["T1562.001"]
    assert "deprecated" in whys["T1112"]
    assert "not in Enterprise ATT&CK" in whys["T9999"]
    assert all(stored(made, technique_id) for technique_id in whys)


def test_deriving_under_a_newer_attack_migrates_first(made: Bench, put: Store) -> None:
    put(hypothesis("T1562.001"))

    done = hypothesise(on_v19(made).kit)

    assert [m.after for m in done.moved] == ["T1685"]
    assert {h.technique_id: h.state for h in done.hypotheses} == {
        "T1562.001": HypothesisState.SUPERSEDED,
        "T1685": HypothesisState.CONCLUDED,
    }


def test_attack_is_found_among_the_stored_intel_revoked_techniques_included(made: Bench) -> None:
    def attack(stix_id: str, **content: Any) -> Any:
        item = build(stix_id, **content)
        body = json.dumps(dict(item.content)).encode()
        return replace(item, created_by=content.get("created_by_ref", MITRE), body=body)

    uuid = "00000000-0000-4000-8000-00000000000"
    objects = [
        attack(f"attack-pattern--{uuid}1", name="new"),
        attack(f"attack-pattern--{uuid}2", name="old", revoked=True),
        attack(f"attack-pattern--{uuid}3", name="theirs", created_by_ref=f"identity--{uuid}9"),
        attack(
            f"relationship--{uuid}4",
            relationship_type="revoked-by",
            source_ref=f"attack-pattern--{uuid}2",
            target_ref=f"attack-pattern--{uuid}1",
        ),
    ]
    with made.unit() as unit:
        unit.intel.add(objects, feed="attack", at=T0)
        unit.commit()

    found = [item.get("name") for item in stored_attack(made.store.unit)]

    assert sorted(filter(None, found)) == ["new", "old"]
