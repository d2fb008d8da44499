"""Gaps found before a hunt, shared by hypotheses, decided by people, and what waited for them."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.models.content import Library
from huntonce.models.errors import DomainError
from huntonce.models.evidence import Remedy
from huntonce.models.gap import OPEN, TRANSITIONS, Gap, GapKind, GapState
from huntonce.models.hypothesis import HypothesisState, Verdict
from huntonce.models.profile import Asset, Profile
from huntonce.models.query import SiemCapabilities
from huntonce.models.requirements.book import EvidenceBook
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.gapkeeping import keep_gap
from huntonce.models.stages.gapwork import accept, accept_risk, remediate
from huntonce.models.stages.guarding import watch_detections
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import carry_out, default_window, find_target, to_hunt
from huntonce.models.stages.survey import survey
from huntonce.models.stages.watch import verify_gaps
from tests.support.builders import T0, after, hypothesis, window
from tests.support.kits import (
    HOSTS,
    HOURS,
    Bench,
    Event,
    bench,
    intrusion,
    library,
    quiet_day,
    updated,
    with_kit,
)

AUDIT = "security/other-object-access"
TWIN = "T1053.002"


def twice(made: Bench) -> Bench:
    """Two techniques with the same evidence, and a hypothesis for each."""
    model = library().evidence["T1053.005"]
    both = {"T1053.005": model, TWIN: replace(model, technique_id=TWIN)}
    kit = replace(made.kit, library=Library(hunts=library().hunts, evidence=both, set_aside=()))
    with made.unit() as unit:
        for technique in both:
            unit.hypotheses.add(
                hypothesis(technique_id=technique, priority=0.4, actors=("HERON",)),
                actor="test",
                why="claimed",
            )
        unit.commit()
    return replace(made, kit=kit)


def gaps(made: Bench) -> dict[str, Gap]:
    with made.unit() as unit:
        return {gap.source: gap for gap in unit.gaps.list()}


# ---------------------------------------------------------------- before any hunt


def test_a_survey_finds_the_gaps_before_a_hunt_and_puts_aside_what_cannot_be_looked_at(
    tmp_path: Path,
) -> None:
    made = twice(bench(tmp_path, quiet_day(no_audit=HOSTS)))

    surveyed = survey(made.kit)
    dispatch(made.kit)

    assert surveyed.blocked == ("H-1", "H-2")
    audit = gaps(made)[AUDIT]
    assert len(audit.unlocks) == 2
    assert {wait.hypothesis for wait in audit.waits} == set(audit.unlocks)
    assert "2 hypotheses cannot be looked at in full" in audit.business
    assert "HERON" in audit.business
    assert len(made.tickets.list()) == len(gaps(made))
    with made.unit() as unit:
        assert {h.state for h in unit.hypotheses.list()} == {HypothesisState.BLOCKED}
        assert unit.hunts.list() == ()


def test_a_second_survey_of_the_same_telemetry_changes_nothing(tmp_path: Path) -> None:
    made = twice(bench(tmp_path, quiet_day(no_audit=HOSTS)))
    survey(made.kit)
    before = gaps(made)

    survey(made.kit)

    assert gaps(made) == before


def test_what_can_be_looked_at_is_not_blocked(tmp_path: Path) -> None:
    made = twice(bench(tmp_path, quiet_day()))

    assert survey(made.kit).blocked == ()


def test_the_owner_of_the_hosts_owns_the_gap(tmp_path: Path) -> None:
    made = twice(bench(tmp_path, quiet_day(no_audit=("SRV1",))))
    assets = (Asset(host="PC1"), Asset(host="PC2"), Asset(host="SRV1", owner="server team"))
    made = with_kit(made, profile=Profile(assets=assets, gap_owner="platform"))

    survey(made.kit)

    owners = {source: gap.owner for source, gap in gaps(made).items()}
    assert owners[AUDIT] == "server team"
    assert owners["security/process-command-line"] == "platform"


# ---------------------------------------------------------------- what people decide


@pytest.fixture
def surveyed(tmp_path: Path) -> Bench:
    made = twice(bench(tmp_path, quiet_day(no_audit=HOSTS)))
    survey(made.kit)
    dispatch(made.kit)
    return made


def test_taking_a_gap_on_gives_it_an_owner_and_a_failed_probe_keeps_it_in_work(
    surveyed: Bench,
) -> None:
    gap = gaps(surveyed)[AUDIT]
    assert accept(surveyed.kit, gap.id.lower(), owner="ann", by="bob").owner == "ann"
    remediate(surveyed.kit, gap.id, by="ann")
    surveyed.siem.add(quiet_day(start=after(hours=HOURS), no_audit=()))
    verify_gaps(surveyed.kit)
    assert gaps(surveyed)[AUDIT].state is GapState.VERIFYING
    surveyed.siem.add(quiet_day(start=after(days=30), no_audit=("PC1",)))

    verify_gaps(surveyed.kit)

    assert gaps(surveyed)[AUDIT].state is GapState.REMEDIATING


def test_a_risk_is_accepted_until_a_day_and_comes_back_by_itself(surveyed: Bench) -> None:
    gap, today = gaps(surveyed)[AUDIT], surveyed.clock().date()
    lived = accept_risk(
        surveyed.kit, gap.id, until=today + timedelta(days=30), reason="no budget", by="ciso"
    )
    dispatch(surveyed.kit)
    states = {t.remote_id: t.state.value for t in surveyed.tickets.list()}
    assert (lived.state, states[gap.ticket]) == (GapState.RISK_ACCEPTED, "closed")
    survey(surveyed.kit)
    assert gaps(surveyed)[AUDIT].state is GapState.RISK_ACCEPTED
    surveyed.clock.pass_by(days=30)
    assert verify_gaps(surveyed.kit).expired == ()
    surveyed.clock.pass_by(days=1)

    verified = verify_gaps(surveyed.kit)
    dispatch(surveyed.kit)

    assert [g.source for g in verified.expired] == [AUDIT]
    assert gaps(surveyed)[AUDIT].state is GapState.SURFACED
    states = {t.remote_id: t.state.value for t in surveyed.tickets.list()}
    assert states[gap.ticket] == "open"


@pytest.mark.parametrize(("until", "reason"), [(date(2020, 1, 1), "old"), (date(2090, 1, 1), "  ")])
def test_a_risk_needs_a_reason_and_a_day_ahead(surveyed: Bench, until: date, reason: str) -> None:
    with pytest.raises(DomainError):
        accept_risk(surveyed.kit, gaps(surveyed)[AUDIT].id, until=until, reason=reason, by="x")


def test_nobody_closes_a_gap_and_an_unknown_one_is_named(surveyed: Bench) -> None:
    with pytest.raises(DomainError, match="GAP-99"):
        accept(surveyed.kit, "GAP-99", owner="ann", by="bob")
    clicked = {state for state, steps in TRANSITIONS.items() if GapState.CLOSED in steps}
    assert clicked == {GapState.VERIFYING}


# ---------------------------------------------------------------- what waited


def test_a_hypothesis_that_another_gap_still_blocks_is_not_due(surveyed: Bench) -> None:
    for day in (1, 2):
        events = quiet_day(start=after(hours=HOURS * day), no_line=())
        surveyed.siem.add(e for e in events if e["Event"]["System"]["EventID"] != 4688)
        # Weeks pass, so that the processes of the first day prove nothing any more.
        surveyed.siem.add(quiet_day(("NOISE",), start=after(days=20 * day)))

    verified = verify_gaps(surveyed.kit)

    assert verified.requeued == ()


def test_mending_what_hid_the_past_makes_the_windows_that_waited_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(tmp_path, quiet_day())
    made.siem.add(quiet_day(start=after(hours=HOURS)))
    target = find_target(made.kit, "T1053.005")
    short = SiemCapabilities(query_language="x", channel_retention_days={"Security": 1})
    extent = default_window(made.kit)
    wanted = extent.__class__(extent.start - timedelta(days=20), extent.end)
    monkeypatch.setattr(made.siem, "capabilities", lambda: short)
    made.clock.moment = extent.end

    _, settled = carry_out(made.kit, target, wanted)

    kinds = {gap.gap_kind: gap for gap in settled.gaps}
    retention = kinds[GapKind.RETENTION]
    assert settled.run.verdict is Verdict.INCONCLUSIVE
    assert retention.source == "channel/Security"
    assert retention.wanted_hours == wanted.hours
    assert "keep Security" in retention.remedy.text
    assert ledger(made.kit, settled.hypothesis, wanted).windows == ()

    monkeypatch.undo()
    old = quiet_day(start=extent.start - timedelta(days=20), hours=24 * 20)
    made.siem.add(old)
    for day in (2, 3):
        made.siem.add(quiet_day(start=after(hours=HOURS * day)))
        made.clock.moment = after(hours=HOURS * (day + 1))
        verified = verify_gaps(made.kit)

    assert retention.id in {gap.id for gap in verified.closed}
    assert verified.requeued == (settled.hypothesis.id,)
    with made.unit() as unit:
        again = unit.hypotheses.get(settled.hypothesis.id)
    assert again is not None
    assert again.state is HypothesisState.READY
    assert wanted in ledger(made.kit, again, wanted).windows


def test_a_hypothesis_that_went_blind_after_a_hunt_waits_for_its_gap_too(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day())
    _, first = carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    assert first.run.verdict is Verdict.RULED_OUT
    blind = quiet_day(start=after(hours=HOURS), no_audit=HOSTS, no_line=HOSTS)
    made.siem.add(blind)
    made.clock.moment = after(hours=2 * HOURS)
    due = to_hunt(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    assert due is not None
    (rest,) = due.windows

    _, second = carry_out(made.kit, find_target(made.kit, "T1053.005"), rest)

    assert second.run.verdict is Verdict.BLOCKED
    again = find_target(made.kit, "T1053.005")
    assert ledger(made.kit, again, default_window(made.kit)).windows == (rest,)
    assert to_hunt(made.kit, again, default_window(made.kit)) is None
    assert to_hunt(made.kit, replace(again, state=HypothesisState.READY), rest) is not None


# ---------------------------------------------------------------- detections


def test_a_detection_that_loses_its_sight_raises_a_gap_that_names_it(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    assert watch_detections(made.kit) == ()
    made.siem.add(quiet_day(start=after(days=20), no_audit=HOSTS))

    (blind,) = watch_detections(made.kit)

    assert not blind.healthy
    audit = gaps(made)[AUDIT]
    assert audit.guards == (blind.id,)
    assert audit.state in OPEN
    assert f"{blind.id} no longer sees" in audit.business
    made.siem.add(quiet_day(start=after(days=21)))
    (back,) = watch_detections(made.kit)
    assert back.healthy


# ---------------------------------------------------------------- the state machine


def gap(**changes: Any) -> Gap:
    values: dict[str, Any] = {
        "gap_kind": GapKind.NO_SOURCE,
        "source": AUDIT,
        "atom_id": "security/4698",
        "atom_label": "Security 4698",
        "siem": "memory",
        "hosts": HOSTS,
        "population": 3,
        "group": "creation",
        "severity": "high",
        "reason": "because",
        "remedy": Remedy(text="mend it"),
        **changes,
    }
    return Gap(**values)


STEPS = st.lists(
    st.sampled_from(["seen", "mended", "accept", "remediate", "risk", "later"]), max_size=10
)


@settings(
    deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_whatever_happens_only_consecutive_passes_close_a_gap(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    made = bench(tmp_path_factory.mktemp("gap"), quiet_day(no_audit=HOSTS))
    with made.unit() as unit:
        keep_gap(unit, made.kit, gap(), by="test", window=window(24), now=T0)
        unit.commit()
    passes, day = 0, 0
    for step in steps:
        before = gaps(made)[AUDIT]
        day += 9  # nothing of the step before is in the next probe
        made.clock.moment = after(days=day)
        try:
            match step:
                case "accept":
                    accept(made.kit, before.id, owner="ann", by="ann")
                case "remediate":
                    remediate(made.kit, before.id, by="ann")
                case "risk":
                    until = made.clock().date() + timedelta(days=5)
                    accept_risk(made.kit, before.id, until=until, reason="so be it", by="ann")
                    passes = 0
                case "seen" | "mended":
                    off = HOSTS if step == "seen" else ()
                    made.siem.add(quiet_day(start=after(days=day), no_audit=off))
                    verify_gaps(made.kit)
                    if before.state is not GapState.CLOSED:
                        passes = passes + 1 if step == "mended" else 0
                case _:
                    verify_gaps(made.kit)
        except DomainError:
            assert step in {"accept", "remediate", "risk"}
        now = gaps(made)[AUDIT]
        newly = now.state is GapState.CLOSED and before.state is not GapState.CLOSED
        assert newly == (
            passes >= made.kit.policy.gap_passes and before.state is not GapState.CLOSED
        )
        assert (
            now.state is before.state
            or now.state in TRANSITIONS[before.state]
            # a pass is written first, and the closing that it leads to in the same run
            or (newly and GapState.VERIFYING in TRANSITIONS[before.state])
            or (
                # expired, and probed in the same run
                before.state is GapState.RISK_ACCEPTED
            )
        )
        if newly:
            passes = 0


# ---------------------------------------------------------------- evidence that nobody wrote down

DERIVED = "T1006"
START = "security/4688"
"""The one kind of trace that ATT&CK names for it and that its model needs."""


def derived(made: Bench, **changes: str) -> Bench:
    """A hypothesis about a technique whose evidence is derived; none is written down at all."""
    book = EvidenceBook({}, made.kit.catalogue)
    kit = replace(made.kit, library=Library(hunts=(), evidence=book, set_aside=()))
    with made.unit() as unit:
        unit.hypotheses.add(
            hypothesis(technique_id=DERIVED, **changes), actor="test", why="claimed"
        )
        unit.commit()
    return replace(made, kit=kit)


def audited(start: datetime) -> list[Event]:
    """Telemetry without a single started process."""
    hours = (start + timedelta(hours=h) for h in range(HOURS))
    return [updated(host, moment) for moment in hours for host in HOSTS]


def test_a_gap_of_derived_evidence_is_found_by_a_survey_and_closed_by_proof(tmp_path: Path) -> None:
    made = derived(bench(tmp_path, audited(T0)))

    assert survey(made.kit).blocked == ("H-1",)
    found = next(gap for gap in gaps(made).values() if gap.atom_id == START)
    assert found.hosts == HOSTS
    for number in (1, 2):
        made.siem.add(quiet_day(start=after(hours=HOURS * number)))
        made.clock.pass_by(hours=HOURS)
        verified = verify_gaps(made.kit)

    assert [gap.id for gap in verified.closed] == [found.id]
    assert verified.requeued == ("H-1",)


def test_a_hypothesis_about_other_systems_is_not_surveyed_with_traces_of_windows(
    tmp_path: Path,
) -> None:
    made = derived(bench(tmp_path, audited(T0)), scope="linux")

    assert survey(made.kit).blocked == ()
    assert gaps(made) == {}
