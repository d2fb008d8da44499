"""Hunts over labs of several seeds: every planted intrusion, no trap, exactly the planted gaps."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.models.certifying import Terms
from huntonce.models.finding import Disposition, EventRef, Finding
from huntonce.models.hypothesis import Verdict
from huntonce.models.lab.company import LabSpec, build_company
from huntonce.models.lab.generate import LabTruth, truth
from huntonce.models.profile import Profile
from tests.integration.hunt.looking import Seen, look_at

pytestmark = pytest.mark.integration

SEEDS = (7, 1, 2, 3, 11)
SMALL = 60


@dataclass(frozen=True, kw_only=True)
class LabHunt:
    """A lab's truth and what the hunt saw of it."""

    seed: int
    truth: LabTruth
    seen: Seen

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.seen.result.looked.findings

    @property
    def evil(self) -> list[Finding]:
        return [f for f in self.findings if f.state is Disposition.MALICIOUS]


def lab_hunt(home: Path, spec: LabSpec, profile: Profile | None = None) -> LabHunt:
    company = build_company(spec)
    files = write_lab(company, home / "lab")
    seen = look_at(home, files.paths, profile or company.profile())
    return LabHunt(seed=spec.seed, truth=truth(company), seen=seen)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, LabHunt]:
    return {
        seed: lab_hunt(tmp_path_factory.mktemp(f"lab{seed}"), LabSpec(seed=seed, hosts=SMALL))
        for seed in SEEDS
    }


@pytest.fixture(params=SEEDS)
def lab(request: pytest.FixtureRequest, labs: dict[int, LabHunt]) -> LabHunt:
    return labs[request.param]


def key(event: EventRef) -> tuple[str, str, int, int | None]:
    return (event.host, event.channel, event.event_id, event.record_id)


def test_every_planted_intrusion_is_found_on_all_of_its_hosts(lab: LabHunt) -> None:
    found = {finding.entity: finding for finding in lab.evil}

    assert lab.seen.result.verdict is Verdict.CONFIRMED_MALICIOUS
    for intrusion in lab.truth.intrusions:
        finding = found[intrusion.task_name]
        assert set(finding.hosts) == set(intrusion.hosts)
        assert set(finding.accounts) <= set(intrusion.accounts)
        told = {key(e) for e in finding.events if e.role in {"registration", "tool"}}
        assert told
        assert told <= set(intrusion.events)


def test_nothing_else_is_called_malicious(lab: LabHunt) -> None:
    planted = {intrusion.task_name for intrusion in lab.truth.intrusions}

    assert {finding.entity for finding in lab.evil} == planted
    for finding in lab.evil:
        trapped = [t for t in lab.truth.traps if fnmatchcase(finding.entity, t.task_name)]
        assert all(t.task_name in planted for t in trapped)


def test_what_is_left_for_a_person_is_little(lab: LabHunt) -> None:
    assert len(lab.findings) - len(lab.evil) <= 5


def test_the_planted_gaps_are_found_exactly(lab: LabHunt) -> None:
    primary = {a.id for a in lab.seen.result.sight.model.atoms if a.primary}
    planted = {
        (gap.name, gap.kind): frozenset(gap.hosts)
        for gap in lab.truth.gaps
        if gap.atom_id in primary
    }
    names = {gap.atom_id: gap.name for gap in lab.truth.gaps}

    found = {
        (names.get(gap.atom_id, gap.atom_id), gap.gap_kind.value): frozenset(gap.hosts)
        for gap in lab.seen.result.gaps
    }

    assert found == planted


def test_every_intrusion_is_automated_and_the_rules_fire_again(lab: LabHunt) -> None:
    result, promotion = lab.seen.result, lab.seen.promotion

    assert promotion.not_automated == ()
    hits: set[str] = set()
    for detection in promotion.detections:
        assert detection.certificate is not None
        assert detection.certificate.benign_hits == 0
        again = lab.seen.kit.siem.search_rule(detection.rule, result.window)
        hits |= set(again.table.column("uid").to_pylist())
    for finding in lab.evil:
        assert hits & {event.uid for event in finding.events}


def test_rules_of_one_company_fire_on_the_intrusions_of_another(
    labs: dict[int, LabHunt],
) -> None:
    rules = [d.rule for d in labs[SEEDS[0]].seen.promotion.detections]

    for other in (labs[seed] for seed in SEEDS[1:]):
        events = [
            (row["host"], row["channel"], row["event_id"], row["record_id"])
            for rule in rules
            for row in other.seen.kit.siem.search_rule(
                rule, other.seen.result.window
            ).table.to_pylist()
        ]
        false = set(events) - other.truth.malicious
        assert len(false) <= Terms().max_alerts_a_day * other.seen.result.window.hours / 24
        for intrusion in other.truth.intrusions:
            assert set(events) & set(intrusion.events)


def test_power_is_what_the_planted_gaps_leave(lab: LabHunt) -> None:
    power = lab.seen.result.sight.power
    alive = {key[0] for i in lab.truth.intrusions for key in i.events}

    assert power.population == SMALL
    assert 0.8 < power.value < 1
    assert not alive & set(power.blind)


def test_a_company_without_intrusions_is_ruled_out(tmp_path: Path) -> None:
    quiet = lab_hunt(tmp_path, LabSpec(seed=5, hosts=SMALL, intrusions=False))

    assert quiet.evil == []
    assert quiet.seen.result.verdict in {Verdict.RULED_OUT, Verdict.INCONCLUSIVE}
    assert quiet.seen.promotion.detections == ()


def test_an_organisation_that_declared_nothing_is_not_told_that_its_software_is_evil(
    tmp_path: Path,
) -> None:
    bare = lab_hunt(tmp_path, LabSpec(seed=7, hosts=SMALL), Profile())

    planted = {intrusion.task_name for intrusion in bare.truth.intrusions}
    assert {finding.entity for finding in bare.evil} <= planted
    assert planted <= {finding.entity for finding in bare.findings}


def test_a_whole_company_is_hunted_as_well_as_a_small_one(tmp_path: Path) -> None:
    whole = lab_hunt(tmp_path, LabSpec())

    assert len(whole.truth.intrusions) == 3
    test_every_planted_intrusion_is_found_on_all_of_its_hosts(whole)
    test_nothing_else_is_called_malicious(whole)
    test_the_planted_gaps_are_found_exactly(whole)
    test_every_intrusion_is_automated_and_the_rules_fire_again(whole)


def test_gaps_are_the_same_things_before_and_after_one_is_mended(tmp_path: Path) -> None:
    spec = LabSpec(seed=3, hosts=SMALL)
    before = lab_hunt(tmp_path / "before", spec)
    after = lab_hunt(tmp_path / "after", replace(spec, mended=("command-line",)))

    def keys(hunt: LabHunt) -> set[str]:
        return {gap.key for gap in hunt.seen.result.gaps}

    gone = keys(before) - keys(after)
    assert keys(after) < keys(before)
    assert [g.source for g in before.seen.result.gaps if g.key in gone] == [
        "security/process-command-line"
    ]
