"""Detections that prove themselves: again, after tampering, with filters, on a schedule."""

import copy
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from huntonce.cli.guardviews import _engines
from huntonce.cli.views import certificate
from huntonce.models.alert import Alert
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.errors import DomainError, TransientError
from huntonce.models.guarding import Record, record, write_filter
from huntonce.models.ledger import Answer
from huntonce.models.query import SearchResult, SigmaSearch
from huntonce.models.sealing import seal_of
from huntonce.models.stages.alerts import events_of, judge
from huntonce.models.stages.certify import adopt, certify_again, deploy, find, move, retune
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.drifting import drift
from huntonce.models.stages.guard import retire, run_detections
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.windows import Window
from tests.support.builders import T0
from tests.support.kits import (
    EVIL_LINE,
    EVIL_TASK,
    HOURS,
    SYSTEM,
    Bench,
    bench,
    intrusion,
    quiet_day,
    registered,
    scheduler,
    task_xml,
    with_kit,
)

DAY = timedelta(days=1)
EVENTS = [
    *quiet_day(),
    *intrusion(),
    registered("PC2", T0 + timedelta(hours=3), "\\Backup", task_xml("backup.exe -all"), SYSTEM),
    registered("PC2", T0 + timedelta(hours=4), "\\Sync", task_xml("sync.exe", run_as="CORP\\a")),
]


@pytest.fixture(scope="module")
def hunted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store in which the intrusion was hunted, and what the rule store then holds."""
    folder = tmp_path_factory.mktemp("hunted")
    made = bench(folder, EVENTS)
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    made.store.close()
    return folder / "huntonce.db", made.rules.live  # type: ignore[return-value]


@pytest.fixture
def made(hunted: tuple[Path, dict[str, Any]], tmp_path: Path) -> Bench:
    """A copy of it, some minutes later."""
    shutil.copy(hunted[0], tmp_path / "huntonce.db")
    again = bench(tmp_path, EVENTS)
    again.rules.live = copy.deepcopy(hunted[1])
    again.clock.pass_by(minutes=10)
    return again


def the(made: Bench) -> Detection:
    with made.unit() as unit:
        return find(unit, "D-1")


def put(made: Bench, detection: Detection) -> None:
    with made.unit() as unit:
        find(unit, detection.id)
        unit.detections.save(detection, actor="test", why="test")
        unit.commit()


def long_ago(made: Bench, days: int) -> None:
    """Quiet weeks before the intrusion: a longer history to replay over."""
    made.siem.add(quiet_day(start=T0 - days * DAY, hours=6))


def later(made: Bench, hours: float = HOURS + 2, **changes: Any) -> None:
    """The same attack once more, after the promotion."""
    made.siem.add(intrusion("SRV1", hours, changes.get("task", "\\Microsoft\\Windows\\Again")))
    made.clock.pass_by(hours=hours)


# ---------------------------------------------------------------- the certificate


def test_a_certificate_holds_what_was_run_and_its_seal(made: Bench) -> None:
    detection = the(made)
    proof = detection.certificate
    assert proof is not None

    assert proof.holds
    assert (proof.fired, proof.expected, proof.benign_hits) == (1, 1, 0)
    assert dict(proof.branches)
    assert min(dict(proof.branches).values()) == 1
    assert [name for name, _ in proof.siems] == ["memory", "second"]
    assert len({found for _, found in proof.siems}) == 1
    assert proof.benign_fixtures
    assert proof.seal == seal_of(proof)
    with made.unit() as unit:
        kept = unit.proofs.fixtures(detection.rule_id)
    assert [f.malicious for f in kept] == [True, *[False] * len(proof.benign_fixtures)]
    assert "4698" in kept[0].body


def test_a_day_of_replay_is_too_short_for_test_and_says_so(made: Bench) -> None:
    with pytest.raises(DomainError, match=r"the replay is 1\.0 days long, 7 are asked for"):
        move(made.kit, "D-1", DetectionState.TEST)

    assert the(made).state is DetectionState.EXPERIMENTAL


def test_a_longer_history_carries_the_next_status_into_the_rule(made: Bench) -> None:
    long_ago(made, 10)
    again = certify_again(made.kit, "D-1")
    assert again.stored
    assert again.proof.allows is DetectionState.TEST

    moved = move(made.kit, "D-1", DetectionState.TEST)

    assert moved.state is DetectionState.TEST
    assert yaml.safe_load(moved.rule)["status"] == "test"
    assert made.kit.check_rule(moved.rule) == ()
    with pytest.raises(DomainError, match="30 are asked for"):
        move(made.kit, "D-1", DetectionState.STABLE)


def test_no_status_is_skipped(made: Bench) -> None:
    with pytest.raises(DomainError, match="cannot go from experimental to stable"):
        move(made.kit, "D-1", DetectionState.STABLE)


def test_the_store_itself_refuses_a_status_that_the_certificate_does_not_carry(
    made: Bench,
) -> None:
    with pytest.raises(DomainError, match="without a certificate that carries it"):
        put(made, replace(the(made), state=DetectionState.TEST))


def test_certifying_again_without_a_change_finds_none(made: Bench) -> None:
    made.clock.pass_by(days=40)

    again = certify_again(made.kit, "D-1")

    assert (again.changes, again.broken) == ((), ())
    assert again.proof.issued_at == made.clock()


def test_what_became_noisy_shows_as_drift_and_takes_the_status_with_it(made: Bench) -> None:
    long_ago(made, 10)
    certify_again(made.kit, "D-1")
    move(made.kit, "D-1", DetectionState.TEST)
    for number in range(30):
        moment = T0 + timedelta(hours=12, minutes=number)
        task = f"\\Microsoft\\Windows\\Rollout{number}"
        made.siem.add([registered("SRV1", moment, task, task_xml(EVIL_LINE))])

    again = certify_again(made.kit, "D-1")

    assert not again.proof.holds
    assert again.after.state is DetectionState.EXPERIMENTAL
    assert "status: experimental" in again.after.rule
    assert any(change.startswith("louder") for change in again.changes)
    assert "it does not hold any more" in again.changes
    target = find_target(made.kit, "T1053.005")
    answer = ledger(made.kit, target, default_window(made.kit))
    assert answer.answer is Answer.COVERED_UNHEALTHY


def test_events_that_left_the_siem_still_prove_the_rule(made: Bench) -> None:
    gone = with_kit(made, siem=type(made.siem)(quiet_day(start=T0 + 20 * DAY)))

    again = certify_again(gone.kit, "D-1")

    assert again.proof.holds
    assert (again.proof.fired, again.proof.expected) == (1, 1)


# ---------------------------------------------------------------- tampering


def _other_rule(made: Bench) -> None:
    one = the(made)
    put(made, replace(one, rule=one.rule.replace("4698", "4702")))


def _other_certificate(made: Bench) -> None:
    one = the(made)
    assert one.certificate is not None
    put(made, replace(one, certificate=replace(one.certificate, alerts_a_day=0.0, days=99.0)))


def _other_fixture(made: Bench) -> None:
    one = the(made)
    with made.unit() as unit:
        first, *rest = unit.proofs.fixtures(one.rule_id)
        forged = replace(first, body=first.body.replace("PC1", "PC9"))
        unit.proofs.keep(one.rule_id, [forged, *rest])
        unit.commit()


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (_other_rule, "its rule was changed after it was certified"),
        (_other_certificate, "its certificate was changed after it was issued"),
        (_other_fixture, "its kept events were changed after it was certified"),
    ],
)
def test_what_was_tampered_with_is_told_and_nothing_is_stored(
    made: Bench, tamper: Callable[[Bench], None], told: str
) -> None:
    tamper(made)
    before = the(made)

    again = certify_again(made.kit, "D-1")

    assert told in again.broken
    assert not again.stored
    assert the(made) == before
    with pytest.raises(DomainError, match=told):
        deploy(made.kit, "D-1")
    with pytest.raises(DomainError):
        move(made.kit, "D-1", DetectionState.TEST)


def test_engines_that_disagree_take_the_proof_away(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = type(made.siem)(EVENTS, name="other")
    nothing = blind.search_rule(the(made).rule, Window(T0 - 9 * DAY, T0 - 8 * DAY))
    monkeypatch.setattr(blind, "search_rule", lambda *_: nothing)

    again = certify_again(with_kit(made, others={"other": blind}).kit, "D-1")

    assert not again.proof.holds
    assert any("other does not find the same events" in fault for fault in again.proof.faults)


def test_another_siem_that_finds_the_same_is_in_the_certificate(made: Bench) -> None:
    other = type(made.siem)(EVENTS, name="other")

    proof = certify_again(with_kit(made, others={"other": other}).kit, "D-1").proof

    assert proof.holds
    assert dict(proof.siems)["other"] == dict(proof.siems)["memory"]


@pytest.mark.parametrize("events", [[], quiet_day()])
def test_a_siem_that_holds_none_of_the_events_says_nothing_and_that_is_said(
    made: Bench, events: list[dict[str, Any]]
) -> None:
    empty = type(made.siem)(events, name="other")
    long_ago(made, 10)

    proof = certify_again(with_kit(made, others={"other": empty}).kit, "D-1").proof

    assert proof.holds
    assert dict(proof.siems)["other"] == ""
    assert proof.allows is DetectionState.EXPERIMENTAL
    assert any("it holds none of the events" in limit for limit in proof.limits)


def test_a_siem_that_is_not_reached_stops_no_promotion_and_the_certificate_says_so(
    tmp_path: Path,
) -> None:
    class Down(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            raise TransientError("no connection", connector=name)

        def __iter__(self) -> Iterator[str]:
            return iter(["other"])

        def __len__(self) -> int:
            return 1

    fresh = with_kit(bench(tmp_path, EVENTS), others=Down())

    carry_out(fresh.kit, find_target(fresh.kit, "T1053.005"), default_window(fresh.kit))

    proof = the(fresh).certificate
    assert proof is not None
    assert proof.holds
    assert dict(proof.siems)["other"] == ""
    told = [limit for limit in proof.limits if "what other finds: no connection" in limit]
    assert len(told) == 1
    assert "no answer from other" in _engines(certificate(proof))


def test_an_engine_that_cannot_run_the_rule_takes_the_proof_away(made: Bench) -> None:
    deaf = type(made.siem)(EVENTS, name="other")
    deaf.refuse = True

    again = certify_again(with_kit(made, others={"other": deaf}).kit, "D-1")

    assert any("other cannot run it: not allowed" in fault for fault in again.proof.faults)


# ---------------------------------------------------------------- filters


def _filter(made: Bench, where: Mapping[str, Sequence[str]], **more: str) -> str:
    return write_filter(
        the(made),
        where,
        owner=more.pop("owner", "platform"),
        reason=more.pop("reason", "the deployment service does this"),
        today=made.clock().date(),
        **more,
    )


def test_a_filter_stands_beside_the_rule_and_quietens_it(made: Bench) -> None:
    rule = the(made).rule
    noise = registered("PC2", T0 + timedelta(hours=8), EVIL_TASK + " 2", task_xml(EVIL_LINE),
                       {**SYSTEM, "SubjectUserSid": "S-1-5-21-1-2-3-9",
                        "SubjectUserName": "svc-deploy"})  # fmt: skip
    made.siem.add([noise])
    loud = certify_again(made.kit, "D-1")
    assert loud.proof.benign_hits == 1

    tuned = retune(made.kit, "D-1", [_filter(made, {"SubjectUserName": ["svc-deploy"]})])

    assert tuned.proof.benign_hits == 0
    assert tuned.after.rule == rule
    dispatch(made.kit)
    assert len(made.rules.live[tuned.after.rule_id]["filters"]) == 1  # type: ignore[arg-type]
    assert drift(made.kit) == ()


def test_a_filter_that_hides_the_attack_is_refused(made: Bench) -> None:
    with pytest.raises(DomainError, match="does not find the events"):
        retune(made.kit, "D-1", [_filter(made, {"SubjectUserName": ["ann"]})])

    assert the(made).filters == ()


def test_a_filter_of_another_rule_is_refused(made: Bench) -> None:
    foreign = _filter(made, {"SubjectUserName": ["x"]}).replace(the(made).rule_id, "a" * 36)

    with pytest.raises(DomainError, match="does not name the rule"):
        retune(made.kit, "D-1", [foreign])


def test_a_filter_that_expired_makes_its_detection_stale(made: Bench) -> None:
    text = _filter(made, {"SubjectUserName": ["svc"]}, expires=f"{made.clock():%Y-%m-%d}")
    retune(made.kit, "D-1", [text])
    long_ago(made, 10)
    certify_again(made.kit, "D-1")
    made.clock.pass_by(days=2)

    with pytest.raises(DomainError, match="a filter of it expired"):
        move(made.kit, "D-1", DetectionState.TEST)


@pytest.mark.parametrize("missing", [{"owner": ""}, {"reason": " "}, {"expires": "soon"}])
def test_a_filter_has_an_owner_a_reason_and_a_date(made: Bench, missing: dict[str, str]) -> None:
    with pytest.raises(DomainError):
        _filter(made, {"SubjectUserName": ["x"]}, **missing)


# ---------------------------------------------------------------- drift


def test_a_rule_that_people_changed_is_shown_and_not_written_over_by_adopting_it(
    made: Bench,
) -> None:
    rule_id = the(made).rule_id
    assert drift(made.kit) == ()
    edited = the(made).rule.replace("level: high", "level: critical")
    made.rules.live[rule_id] = {**made.rules.live[rule_id], "rule": edited}
    assert [(line.part, line.why) for line in drift(made.kit)] == [("rule", "changed")]

    taken = adopt(made.kit, "D-1")
    dispatch(made.kit)

    assert taken.after.level == "critical"
    assert yaml.safe_load(taken.after.rule)["level"] == "critical"
    assert drift(made.kit) == ()


def test_a_change_that_breaks_the_proof_is_not_adopted(made: Bench) -> None:
    rule_id, before = the(made).rule_id, the(made)
    broken = before.rule.replace("4698", "4702")
    made.rules.live[rule_id] = {**made.rules.live[rule_id], "rule": broken}

    with pytest.raises(DomainError, match="keeps what it has"):
        adopt(made.kit, "D-1")

    assert the(made) == before
    deploy(made.kit, "D-1", overwrite=True)
    dispatch(made.kit)
    assert drift(made.kit) == ()


def test_rules_that_are_missing_or_nobodys_are_drift(made: Bench) -> None:
    rule_id = the(made).rule_id
    stranger = "2f6a8c1e-0000-4000-8000-00000000abcd"
    made.rules.live[stranger] = {"rule_id": stranger, "rule": "title: theirs"}
    del made.rules.live[rule_id]

    assert {(line.rule_id, line.why) for line in drift(made.kit)} == {
        (rule_id, "missing"),
        (stranger, "unknown"),
    }


# ---------------------------------------------------------------- retirement


def test_the_only_detection_of_a_technique_is_not_retired_by_chance(made: Bench) -> None:
    with pytest.raises(DomainError, match=r"the only detection .* T1053\.005"):
        retire(made.kit, "D-1", reason="no more")
    with pytest.raises(DomainError):
        retire(made.kit, "D-1", reason=" ", force=True)

    gone = retire(made.kit, "D-1", reason="the fleet is gone", force=True)
    dispatch(made.kit)

    assert gone.state is DetectionState.RETIRED
    assert list(made.rules.live) == []
    assert the(made).deployments[0].observed == "retired"
    with made.unit() as unit:
        assert "sole cover" in unit.log.rows()[-1].why


def test_a_detection_with_company_is_retired_without_force(made: Bench) -> None:
    other = replace(the(made), id="", rule_id="2f6a8c1e-0000-4000-8000-00000000abcd")
    with made.unit() as unit:
        unit.detections.add(other, actor="test", why="test")
        unit.commit()

    assert retire(made.kit, "D-1", reason="").state is DetectionState.RETIRED


# ---------------------------------------------------------------- on schedule


def test_alerts_count_from_the_promotion_on_and_once(made: Bench) -> None:
    assert run_detections(made.kit).rows[0].fresh == 0
    later(made)

    (first,) = run_detections(made.kit).rows
    (second,) = run_detections(made.kit).rows

    assert (first.fresh, first.hosts) == (1, ("SRV1",))
    assert (second.fresh, second.alerts) == (0, 1)
    with made.unit() as unit:
        (day,) = unit.alerts.list()
        served = record(the(made), [day], unit.proofs.watches(), unit.cases.list())
    assert (day.count, day.first, day.last) == (1, day.last, day.first)
    assert (served.alerts, served.open, served.precision) == (1, 1, None)
    assert served.interval is not None


def test_a_run_that_cannot_look_is_a_fault_and_moves_nothing(made: Bench) -> None:
    run_detections(made.kit)
    with made.unit() as unit:
        (before,) = unit.proofs.watches()
    made.clock.pass_by(days=4)
    dark = with_kit(made, siem=type(made.siem)([scheduler("PC1", T0 + 4 * DAY)]))

    (row,) = run_detections(dark.kit).rows

    assert row.fault == "nothing of its log source arrived"
    with made.unit() as unit:
        (after,) = unit.proofs.watches()
    assert (after.seen_to, after.fault) == (before.seen_to, row.fault)


def test_after_promotion_no_search_is_spent_on_the_hypothesis_again(made: Bench) -> None:
    asked: list[str] = []

    class Counting(type(made.siem)):  # type: ignore[misc] - the same SIEM, counting
        def search(self, query: SigmaSearch, window: Window) -> SearchResult:
            asked.append(query.name)
            return super().search(query, window)  # type: ignore[no-any-return]

    later(made)
    siem = Counting([*EVENTS, *intrusion("SRV1", HOURS + 2)])
    kit = with_kit(made, siem=siem).kit
    target = find_target(kit, "T1053.005")
    window = default_window(kit)

    answer = ledger(kit, target, window)
    run_detections(kit)

    assert (answer.answer, answer.windows) == (Answer.COVERED, ())
    assert asked == []
    carry_out(kit, target, window)
    assert asked, "the same hunt by hand does search: the count above can fail"


# ---------------------------------------------------------------- alerts


def alerted(made: Bench) -> Alert:
    later(made)
    run_detections(made.kit)
    with made.unit() as unit:
        (alert,) = unit.alerts.list()
    return alert


def served(made: Bench) -> Record:
    with made.unit() as unit:
        return record(the(made), unit.alerts.list(), unit.proofs.watches(), unit.cases.list())


@pytest.mark.parametrize(("real", "precision"), [(True, 1.0), (False, 0.0)])
def test_what_a_person_says_of_an_alert_is_its_detection_s_precision(
    made: Bench, *, real: bool, precision: float
) -> None:
    alert = alerted(made)
    assert (served(made).precision, served(made).open) == (None, 1)

    judge(made.kit, [alert.id.lower()], real=real, by="ann", why="looked at the host")

    assert (served(made).precision, served(made).open) == (precision, 0)
    with made.unit() as unit:
        last = unit.log.rows()[-1]
        assert unit.log.verify() is None
    assert (last.subject, last.before, last.after) == (
        alert.id,
        "open",
        "true" if real else "false",
    )
    assert (last.actor, last.why) == ("ann", "looked at the host")


def test_a_judgement_can_be_corrected_and_both_stay_in_the_log(made: Bench) -> None:
    alert = alerted(made)
    judge(made.kit, [alert.id], real=True, by="ann", why="looks evil")
    judge(made.kit, [alert.id], real=False, by="bob", why="it was a test of ours")

    assert served(made).precision == 0
    with made.unit() as unit:
        told = [(r.after, r.actor) for r in unit.log.rows() if r.subject == alert.id]
    assert told == [("open", "test"), ("true", "ann"), ("false", "bob")]


def test_more_events_of_the_day_open_a_judged_alert_again(made: Bench) -> None:
    alert = alerted(made)
    judge(made.kit, [alert.id], real=False, by="ann", why="our installer")
    made.siem.add(intrusion("SRV2", HOURS + 2, "\\Microsoft\\Windows\\More"))
    (row,) = run_detections(made.kit).rows

    assert row.fresh == 1
    with made.unit() as unit:
        (again,) = unit.alerts.list()
    assert (again.id, again.count, again.state.value, again.judged_by) == (alert.id, 2, "open", "")
    assert served(made).precision is None


@pytest.mark.parametrize(
    ("names", "by", "why", "told"),
    [
        (["ALERT-1"], "", "x", "who made it"),
        (["ALERT-1"], "ann", " ", "who made it"),
        (["ALERT-1", "ALERT-9"], "ann", "x", "no alert ALERT-9"),
    ],
)
def test_a_judgement_that_is_not_whole_changes_nothing(
    made: Bench, names: list[str], by: str, why: str, told: str
) -> None:
    alert = alerted(made)
    with pytest.raises(DomainError, match=told):
        judge(made.kit, names, real=True, by=by, why=why)
    with made.unit() as unit:
        assert unit.alerts.list() == (alert,)


def test_the_events_of_an_alert_can_be_looked_at(made: Bench) -> None:
    alert = alerted(made)
    assert [ref.uid for ref in events_of(made.siem, the(made), alert)] == list(alert.uids)
