"""Publishing over time: amended, retracted, down-marked, ruled out; to more than one place."""

import atexit
import json
import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from huntonce.connectors.intel.memory import MemoryDestination
from huntonce.models.case import Case, Determination, Stated
from huntonce.models.errors import DomainError, TransientError
from huntonce.models.feedback import Stance, Style
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Verdict
from huntonce.models.intel import IntelObject
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.stages.approve import decide
from huntonce.models.stages.close import amend, close, sync_cases
from huntonce.models.stages.downmark import propose_down_mark
from huntonce.models.stages.learn import (
    drafts,
    plan_case,
    plan_objects,
    plan_opinion,
    plan_ruled_out,
    replan,
    unplanned,
)
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.outlets import Outlet
from huntonce.models.stages.planned import keep_approved
from huntonce.models.stages.retract import retract
from huntonce.models.stages.sending import send_publications
from huntonce.models.tlp import Tlp
from tests.support.kits import AUTO, Bench, bench, intrusion, quiet_day, rules_of, with_kit

SENT, PLANNED = PublicationState.SENT, PublicationState.PLANNED
RETRACTED = PublicationState.RETRACTED


@cache
def hunted(*, evil: bool) -> Path:
    """A store after a hunt that found one case, closed by now, or nothing."""
    folder = Path(tempfile.mkdtemp(prefix="huntonce-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    day = quiet_day(no_line=(), channel=True)
    made = bench(folder, [*day, *(intrusion() if evil else ())])
    with made.store:
        carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
        if evil:
            close(made.kit, "CASE-1", Determination.CONFIRMED, "The payload ran.")
            sync_cases(made.kit)
    return folder


def estate(folder: Path, *, evil: bool) -> Bench:
    """An estate that publishes by itself, an hour after its hunt."""
    shutil.copytree(hunted(evil=evil), folder, dirs_exist_ok=True)
    made = bench(folder, approvals={**AUTO, "publish": "auto"})
    made.clock.pass_by(hours=1)
    return made


def with_case(folder: Path) -> tuple[Bench, Case]:
    """An estate, and its one case, closed."""
    made = estate(folder, evil=True)
    with made.unit() as unit:
        (case,) = unit.cases.list("closed")
    return made, case


def outlet(name: str = "partners", max_tlp: Tlp = Tlp.RED, **style: object) -> Outlet:
    destination = MemoryDestination(name=name)
    return Outlet(destination=destination, max_tlp=max_tlp, style=Style(**style))  # type: ignore[arg-type]


def held(one: Outlet) -> dict[tuple[str, str], dict[str, object]]:
    """What the destination holds, by id and version."""
    assert isinstance(one.destination, MemoryDestination)
    return {at: json.loads(body) for at, body in one.destination.held.items()}


def newest(one: Outlet) -> dict[str, dict[str, object]]:
    """The newest version of each object there."""
    found: dict[str, dict[str, object]] = {}
    for content in held(one).values():
        known = found.get(str(content["id"]))
        if known is None or str(content.get("modified")) > str(known.get("modified")):
            found[str(content["id"])] = content
    return found


def ledger(made: Bench) -> tuple[Publication, ...]:
    with made.unit() as unit:
        return unit.publications.list()


def published(folder: Path) -> tuple[Bench, Case, Outlet]:
    made, case = with_case(folder)
    one = outlet()
    plan_case(made.kit, case, [one])
    send_publications(made.kit, [one])
    return made, case, one


# ---------------------------------------------------------------- versions


def test_what_ir_adds_later_is_a_newer_version_of_the_same_objects(tmp_path: Path) -> None:
    made, case, one = published(tmp_path)
    before = held(one)
    made.clock.pass_by(days=1)

    amended = amend(made.kit, case.id, Stated(malware=("SLOWDRIP",)), "It was SLOWDRIP.")
    plan_case(made.kit, amended, [one])
    ended = send_publications(made.kit, [one])

    assert held(one).items() >= before.items()  # nothing that was sent has changed
    changed = {p.object_type for p in ended if p.state is SENT}
    assert changed >= {"incident", "report", "malware"}
    assert not changed & {"identity", "observed-data", "process", "user-account"}
    old = {at[0] for at in before}
    (incident,) = [o for o in newest(one).values() if o["type"] == "incident"]
    assert incident["id"] in old
    assert "SLOWDRIP" in str(incident["description"])
    versions = [o for o in held(one).values() if o["id"] == incident["id"]]
    assert len({o["created"] for o in versions}) == 1
    assert len({o["modified"] for o in versions}) == 2
    made.clock.pass_by(days=1)
    assert all(p.state is SENT for p in plan_case(made.kit, amended, [one]) if p.version)
    assert send_publications(made.kit, [one]) == ()


def test_a_changed_rule_is_a_newer_indicator_though_the_case_is_the_same(tmp_path: Path) -> None:
    made, case, one = published(tmp_path)
    with made.unit() as unit:
        detection = unit.detections.list()[0]
        rule = detection.rule.replace("status: experimental", "status: test")
        unit.detections.save(replace(detection, rule=rule), actor="test", why="changed")
        unit.commit()

    plan_case(made.kit, case, [one])
    ended = send_publications(made.kit, [one])

    assert [p.object_type for p in ended] == ["indicator"]
    (sent,) = ended
    versions = [o for o in held(one).values() if o["id"] == sent.object_id]
    assert (
        len({str(o["modified"]) for o in versions})
        == len({str(o["pattern"]) for o in versions})
        == 2
    )


def test_the_same_case_after_the_store_was_lost_is_the_same_objects(tmp_path: Path) -> None:
    (first, one_case, one), (second, other_case) = (
        published(tmp_path / "a"),
        with_case(tmp_path / "b"),
    )
    again = outlet()

    plan_case(second.kit, other_case, [again])
    send_publications(second.kit, [again])

    assert one_case.closed_at == other_case.closed_at
    assert held(one) == held(again)
    assert first.store is not second.store


def test_two_destinations_never_have_two_contents_of_one_version(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    here, there = outlet("here"), outlet("there")

    plan_case(made.kit, case, [here, there])
    send_publications(made.kit, [here, there])

    one, two = held(here), held(there)
    shared = one.keys() & two.keys()
    assert all(one[at] == two[at] for at in shared)
    kinds = {one[at]["type"] for at in shared}
    assert kinds >= {"identity", "indicator", "relationship"}
    assert "incident" not in kinds  # it names hosts, under other pseudonyms here and there
    hosts = [json.dumps(list(side.values())) for side in (one, two)]
    assert "host-" in hosts[0]
    pseudonyms = [
        {word.strip(".,()") for word in text.split() if "host-" in word} for text in hosts
    ]
    assert not pseudonyms[0] & pseudonyms[1]


def test_a_plan_that_was_lost_is_made_by_the_next_run(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    one = outlet()

    assert [c.id for c in unplanned(made.kit, [one])[0]] == [case.id]
    shown = drafts(made.kit, [one])
    assert ledger(made) == ()  # a look stores nothing
    plan_case(made.kit, case, [one])
    assert {p.key for p in ledger(made)} == {p.key for p in shown}
    assert unplanned(made.kit, [one]) == ((), ())
    assert [c.id for c in unplanned(made.kit, [one, outlet("new")])[0]] == [case.id]


# ---------------------------------------------------------------- retraction


def test_a_retraction_is_a_newer_version_that_says_so_and_takes_along_what_speaks_of_it(
    tmp_path: Path,
) -> None:
    made, _, one = published(tmp_path)
    before = held(one)
    (rule,) = [o for o in before.values() if o["type"] == "indicator"]

    done = retract(made.kit, [str(rule["id"])], by="ann", why="it is too noisy")
    send_publications(made.kit, [one])

    gone = {name for name, o in newest(one).items() if o.get("revoked") is True}
    about = {
        str(o["id"])
        for o in before.values()
        if rule["id"] in {o.get("source_ref"), o.get("target_ref"), o.get("sighting_of_ref")}
    }
    assert about
    assert gone == {rule["id"], *about} == {p.object_id for p in done.withdrawing}
    assert held(one).items() >= before.items()
    for name in gone:
        content = newest(one)[name]
        (old,) = [o for at, o in before.items() if at[0] == name]
        assert {k: v for k, v in content.items() if k not in {"modified", "revoked"}} == {
            k: v for k, v in old.items() if k != "modified"
        }
        assert str(content["modified"]) > str(old["modified"])
    states = {p.state for p in ledger(made) if p.object_id in gone and "revoked" not in p.body}
    assert states == {RETRACTED}


def test_all_of_a_case_is_retracted_but_for_what_others_share(tmp_path: Path) -> None:
    made, case, one = published(tmp_path)

    retract(made.kit, [case.id.lower()], by="ann", why="")
    send_publications(made.kit, [one])

    left = {o["type"] for o in newest(one).values() if not o.get("revoked")}
    assert left <= {
        "identity", "attack-pattern", "marking-definition", "file", "directory", "process",
        "user-account", "windows-registry-key", "ipv4-addr",
    }  # fmt: skip


def test_what_was_retracted_is_not_published_again(tmp_path: Path) -> None:
    made, case, one = published(tmp_path)
    retract(made.kit, [case.id], by="ann", why="")
    send_publications(made.kit, [one])
    before = held(one)
    made.clock.pass_by(days=1)

    amended = amend(made.kit, case.id, Stated(actors=("COPPER HERON",)))
    plan_case(made.kit, amended, [one])
    send_publications(made.kit, [one])
    again = retract(made.kit, [case.id], by="ann", why="")
    send_publications(made.kit, [one])

    revoked = {name for name, o in newest(one).items() if o.get("revoked")}
    assert revoked >= {at[0] for at, o in before.items() if o.get("revoked")}
    assert again.left
    assert {why for _, why in again.left} == {"retracted already"}


def test_what_had_not_left_is_kept_back_and_nothing_is_sent_about_it(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    one = outlet()
    plan_case(made.kit, case, [one])  # approved and in the outbox, but no sender came yet

    done = retract(made.kit, [case.id], by="ann", why="wrong")
    send_publications(made.kit, [one])

    assert done.withdrawing == ()
    assert {o["type"] for o in held(one).values()} <= {
        "identity", "attack-pattern", "marking-definition", "process", "user-account",
        "windows-registry-key", "file", "directory",
    }  # fmt: skip
    assert all("by ann before it left" in p.why for p in done.kept_back)


def test_what_a_dead_sender_may_have_sent_is_withdrawn(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    one = outlet()
    assert isinstance(one.destination, MemoryDestination)
    plan_case(made.kit, case, [one])
    one.destination.fault = TransientError("down", connector="partners")
    one.destination.fault_after = 30
    send_publications(made.kit, [one])  # a part is there, nobody knows which
    there = {at[0] for at in held(one)}
    assert there

    retract(made.kit, [case.id], by="ann", why="")
    send_publications(made.kit, [one])

    alive = {name for name, o in newest(one).items() if "modified" in o and not o.get("revoked")}
    kinds = {newest(one)[name]["type"] for name in alive}
    assert kinds <= {"identity", "attack-pattern"}


def test_only_ours_can_be_retracted_and_only_what_was_published(tmp_path: Path) -> None:
    made, _, one = published(tmp_path)
    with pytest.raises(DomainError, match="nothing published"):
        retract(made.kit, ["CASE-9"], by="ann", why="")
    (sco, *_) = [p for p in ledger(made) if p.object_type == "process"]
    foreign = made.kit.own_identity
    strange = with_kit(made, own_identity="identity--11111111-1111-4111-8111-111111111111")
    assert foreign != strange.kit.own_identity

    assert "cannot be withdrawn" in retract(made.kit, [sco.id], by="ann", why="").left[0][1]
    rule = next(p for p in ledger(made) if p.object_type == "indicator")
    assert "only its maker" in retract(strange.kit, [rule.id], by="ann", why="").left[0][1]
    assert send_publications(made.kit, [one]) == ()


# ---------------------------------------------------------------- down-marking


def test_only_a_named_approval_loosens_a_marking(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    one = outlet(max_tlp=Tlp.GREEN)
    plan_case(made.kit, case, [one])
    send_publications(made.kit, [one])
    assert held(one) == {}  # an unmarked case is TLP:AMBER

    proposal = propose_down_mark(made.kit, case.id, one, Tlp.GREEN, "the sector asked for it")
    with pytest.raises(DomainError, match="by name"):
        decide(made.kit, proposal.id, approve=True, by="operator")
    plan_case(made.kit, case, [one])
    send_publications(made.kit, [one])
    assert held(one) == {}  # proposed is not approved
    decided = decide(made.kit, proposal.id, approve=True, by="ann")
    replan(made.kit, decided, [one])
    send_publications(made.kit, [one])

    kinds = {o["type"] for o in held(one).values()}
    assert kinds >= {"incident", "indicator", "report", "sighting", "identity"}
    for content in held(one).values():
        if content["type"] not in {"marking-definition", "identity", "attack-pattern"}:
            assert content["object_marking_refs"] == [Tlp.GREEN.marking_id]
    other = outlet("elsewhere", max_tlp=Tlp.GREEN)
    plan_case(made.kit, case, [other])
    send_publications(made.kit, [other])
    assert held(other) == {}  # it was approved for one destination


def test_a_rejected_down_marking_changes_nothing(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    one = outlet(max_tlp=Tlp.GREEN)
    plan_case(made.kit, case, [one])
    proposal = propose_down_mark(made.kit, case.id, one, Tlp.GREEN, "why not")

    decided = decide(made.kit, proposal.id, approve=False, by="ann")

    assert replan(made.kit, decided, [one]) == ()
    plan_case(made.kit, case, [one])
    assert send_publications(made.kit, [one]) == ()


def test_a_down_marking_of_something_else_by_now_is_not_carried_out(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    one = outlet(max_tlp=Tlp.GREEN)
    plan_case(made.kit, case, [one])
    proposal = propose_down_mark(made.kit, case.id, one, Tlp.GREEN, "")
    with made.unit() as unit:
        held_back = unit.publications.list(PublicationState.SKIPPED_TLP)
        victim = next(p for p in held_back if p.object_type == "incident")
        body = victim.body.replace("confirmed", "suspected")
        unit.publications.save(replace(victim, body=body), actor="test", why="changed")
        unit.commit()

    with pytest.raises(DomainError, match="has changed"):
        decide(made.kit, proposal.id, approve=True, by="ann")


def test_down_marking_above_the_ceiling_or_of_nothing_is_refused(tmp_path: Path) -> None:
    made, case = with_case(tmp_path)
    one = outlet(max_tlp=Tlp.GREEN)
    with pytest.raises(DomainError, match="nothing of ours"):
        propose_down_mark(made.kit, case.id, one, Tlp.GREEN, "")
    with pytest.raises(DomainError, match="above what"):
        propose_down_mark(made.kit, case.id, one, Tlp.RED, "")


# ---------------------------------------------------------------- negative knowledge, opinions


def ruled_out(folder: Path) -> tuple[Bench, HuntRun]:
    """An estate in which nothing happened, hunted."""
    made = estate(folder, evil=False)
    with made.unit() as unit:
        (run,) = unit.hunts.list()
    return made, run


def test_what_was_ruled_out_is_published_with_its_window_method_and_power(tmp_path: Path) -> None:
    made, run = ruled_out(tmp_path)
    one = outlet()
    assert run.verdict is Verdict.RULED_OUT

    plan_ruled_out(made.kit, run, [one])
    send_publications(made.kit, [one])

    (sighting,) = [o for o in held(one).values() if o["type"] == "sighting"]
    (note,) = [o for o in held(one).values() if o["type"] == "note"]
    assert sighting["count"] == 0
    assert str(sighting["first_seen"])[:19] == run.start.isoformat()[:19]
    assert str(sighting["last_seen"])[:19] == run.end.isoformat()[:19]
    assert "Power " in str(note["content"])
    assert run.hunt_name in str(note["content"])
    assert "PC1" not in json.dumps(list(held(one).values()))
    assert not any("opinion" in body for _, body in held(one).items())
    assert unplanned(made.kit, [one]) == ((), ())


def test_a_sighting_of_nothing_stays_here_where_too_little_was_seen(tmp_path: Path) -> None:
    made, run = ruled_out(tmp_path)
    assert run.power is not None
    stricter = with_kit(made, policy=replace(made.kit.policy, power_floor=run.power.value + 0.01))

    assert unplanned(stricter.kit, [outlet()]) == ((), ())
    assert plan_ruled_out(stricter.kit, run, [outlet()]) == ()
    assert ledger(made) == ()


def test_a_sweep_that_ruled_indicators_out_says_nothing_of_a_behaviour(tmp_path: Path) -> None:
    made, run = ruled_out(tmp_path)
    plan_ruled_out(made.kit, run, [outlet()])
    with made.unit() as unit:
        unit.hunts.add(
            replace(run, id="", hypothesis_key="of no hypothesis", hypothesis_id=""),
            actor="test",
            why="swept",
        )
        unit.commit()

    assert unplanned(made.kit, [outlet()]) == ((), ())


def test_an_approval_of_one_subject_sends_the_identity_that_another_planned(
    tmp_path: Path,
) -> None:
    made, run = ruled_out(tmp_path)
    asking = with_kit(made, policy=replace(made.kit.policy, approvals=rules_of(AUTO)))
    one = outlet()
    plan_ruled_out(asking.kit, run, [one])
    again = replace(run, id="", started_at=run.started_at + timedelta(seconds=1))
    with made.unit() as unit:
        second = unit.hunts.add(again, actor="test", why="hunted again")
        unit.commit()
    plan_ruled_out(asking.kit, second, [one])
    with made.unit() as unit:
        first_asked, second_asked = unit.proposals.list("pending")

    decide(asking.kit, second_asked.id, approve=True, by="ann")
    send_publications(asking.kit, [one])

    there = {at[0] for at in held(one)}
    for content in held(one).values():
        if content["type"] not in {"marking-definition", "identity"}:
            assert content["created_by_ref"] in there
    decide(asking.kit, first_asked.id, approve=True, by="ann")
    send_publications(asking.kit, [one])
    assert sum(o["type"] == "sighting" for o in held(one).values()) == 2


def test_an_opinion_is_shared_only_as_a_person_s(tmp_path: Path) -> None:
    made, _ = ruled_out(tmp_path)
    one = outlet()
    about = "indicator--00000000-0000-4000-8000-000000000001"
    theirs = IntelObject(
        id=about, type="indicator", spec_version="2.1", version="2026-01-01T00:00:00.000Z",
        created_by="identity--00000000-0000-4000-8000-000000000002", revoked=False,
        tlp=Tlp.AMBER_STRICT, body=b"{}", content={"id": about, "type": "indicator"},
    )  # fmt: skip
    with made.unit() as unit:
        unit.intel.add([theirs], feed="shared", at=made.clock())
        unit.commit()

    for stance in (Stance.AGREE, Stance.AGREE, Stance.DISAGREE):
        made.clock.pass_by(minutes=1)
        plan_opinion(made.kit, about, stance, "Seen on PC1.", [one], by="ann")
        send_publications(made.kit, [one])

    said = [o for o in held(one).values() if o["type"] == "opinion"]
    assert [o["opinion"] for o in said] == ["agree", "disagree"]  # the same twice is one
    assert len({o["id"] for o in said}) == 1
    assert said[0]["object_marking_refs"] == [Tlp.AMBER_STRICT.marking_id]
    assert "PC1" not in str(said)
    assert "ann" not in json.dumps(said)
    with pytest.raises(DomainError, match="not among"):
        plan_opinion(made.kit, about[:-1] + "9", Stance.AGREE, "", [one], by="ann")


# ---------------------------------------------------------------- the team's own files


def given(name: str, **more: object) -> IntelObject:
    content = {
        "type": "tool", "spec_version": "2.1", "name": name,
        "id": "tool--00000000-0000-4000-8000-000000000005",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "object_marking_refs": [Tlp.GREEN.marking_id], **more,
    }  # fmt: skip
    body = json.dumps(content).encode()
    return IntelObject(
        id=str(content["id"]), type="tool", spec_version="2.1", version=str(content["modified"]),
        created_by="", revoked=False, tlp=Tlp.GREEN, body=body, content=content,
    )  # fmt: skip


def test_other_content_under_a_version_that_was_sent_is_refused(tmp_path: Path) -> None:
    made, _ = ruled_out(tmp_path)
    one = outlet()

    def publish(item: IntelObject) -> Publication:
        planned = plan_objects(made.kit, [item], [one], subject="team.json")
        (kept,) = keep_approved(made.kit, planned, by="cti")
        send_publications(made.kit, [one])
        return kept

    publish(given("PsExec"))
    assert publish(given("PsExec")).state is SENT
    changed = plan_objects(made.kit, [given("psexec.exe")], [one], subject="team.json")
    newer = publish(given("psexec.exe", modified="2026-02-01T00:00:00.000Z"))

    assert [p.state for p in changed] == [PublicationState.REJECTED_FIELD]
    assert "newer time" in changed[0].why
    assert newer.state is PublicationState.APPROVED
    assert [o["name"] for o in held(one).values()] == ["PsExec", "psexec.exe"]
    done = retract(made.kit, [newer.object_id], by="cti", why="")
    send_publications(made.kit, [one])
    assert len(done.withdrawing) == 1
    assert newest(one)[newer.object_id]["revoked"] is True
