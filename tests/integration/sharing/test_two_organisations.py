"""What one organisation found, another one hunts for with the same rule, without a word between.

The first hunts its telemetry, IR closes the case, and its STIX goes to a TAXII server. The second
starts empty, pulls from that server, and finds the same intrusion in telemetry of its own.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.models.finding import Disposition
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.lab.company import LabSpec, build_company
from huntonce.models.rules import RULE_FIELDS
from huntonce.models.stages.ioctypes import Status, Swept
from huntonce.models.stages.received import ReceivedRule, received_rules
from huntonce.models.stages.settle import Settled
from huntonce.models.windows import Window
from tests.integration.sharing.login import COLLECTION
from tests.integration.sharing.organisations import (
    Organisation,
    assert_sound,
    hits,
    objects_at,
)
from tests.support.shared import shared_data

pytestmark = pytest.mark.integration
TECHNIQUE = "T1053.005"


def found_and_published(first: Organisation, collection: str) -> list[dict[str, Any]]:
    """The first organisation hunts, closes its case and publishes; what the server then holds."""
    settled = first.hunt(TECHNIQUE)
    assert settled.run.verdict is Verdict.CONFIRMED_MALICIOUS
    assert settled.cases
    assert settled.detections
    first.close_cases()
    sent = first.publish()
    assert sent
    assert {p.state.value for p in sent} == {"sent"}
    there = objects_at(collection)
    assert {(o["id"], o.get("modified", "")) for o in there} >= {
        (p.object_id, p.version)
        for p in sent
        if p.version and p.object_type != "marking-definition"
    }
    assert_sound(there)
    kinds = {o["type"] for o in there}
    assert kinds >= {"incident", "indicator", "observed-data", "sighting", "report", "identity"}
    return there


def becomes_a_hunt(second: Organisation) -> tuple[Hypothesis, tuple[ReceivedRule, ...]]:
    """What the second organisation pulls is a hypothesis, with rules that can be run."""
    collected, made = second.pull()
    assert collected.counts.new > 0
    (hypothesis,) = [h for h in made.hypotheses if h.technique_id == TECHNIQUE]
    assert hypothesis.id in made.new
    assert not hypothesis.own_only
    assert {s.feed for s in hypothesis.sources} == {"shared"}
    rules = received_rules(second.home.kit(), TECHNIQUE)
    assert rules
    assert all(one.text.fault == "" for one in rules)
    return hypothesis, rules


def hunted_with(
    second: Organisation,
    hypothesis: Hypothesis,
    rules: tuple[ReceivedRule, ...],
    there: list[dict[str, Any]],
) -> tuple[Settled, set[str]]:
    """The hunt of what came from the feed, and the events that the received rules found in it.

    Each rule is a check of the kept run: the rule byte for byte as it stands on the server, put
    to this SIEM. What a check of a rule counted is in findings that name the rule and its source.
    """
    settled = second.hunt(hypothesis.id)
    assert settled.hypothesis.id == hypothesis.id
    with second.home.store.unit() as unit:
        run = unit.hunts.get(settled.run.id)
    assert run is not None
    sent = {one["id"]: one["pattern"] for one in there if one.get("pattern_type") == "sigma"}
    siem = second.home.siem()
    window = Window(run.start, run.end)
    found: set[str] = set()
    for rule in rules:
        (check,) = [c for c in run.checks if rule.origin.ids[0] in c.name]
        assert sent[rule.origin.ids[0]] == rule.text.text
        assert "from shared" in check.origin
        if not check.executed:
            assert check.why
            continue
        result = siem.search_rule(rule.text.text, window, RULE_FIELDS)
        assert check.query == "\n".join(result.queries)
        assert check.events == result.table.num_rows
        uids = set(result.table.column("uid").to_pylist())
        named = [f for f in settled.findings if f.details.get("rule") == rule.text.title]
        held = {ref.uid for f in named for ref in f.events} & uids
        assert all("from shared" in f.reason for f in named)
        assert all(f.state is Disposition.SUSPICIOUS for f in named)
        found |= held
    assert found, [(c.name, c.events, c.why) for c in run.checks]
    return settled, found


def events_of_rules(swept: Swept) -> set[str]:
    """What the received Sigma rules found, in a hunt that is kept and in findings to be judged."""
    found = {ref.uid for one in hits(swept) if one.pattern_type == "sigma" for ref in one.events}
    assert swept.run
    assert swept.run.verdict is not Verdict.RULED_OUT
    assert found <= {ref.uid for finding in swept.findings for ref in finding.events}
    return found


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Two made-up companies that the same people broke into."""
    folder = tmp_path_factory.mktemp("companies")
    made = []
    for seed in (7, 8):
        company = build_company(LabSpec(seed=seed, hosts=24, days=3, noise=0.2))
        made.append(list(write_lab(company, folder / str(seed)).paths))
    return made[0], made[1]


def test_a_made_up_company_finds_what_another_one_published(
    collection: str, companies: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    first = Organisation.found(tmp_path / "first", "Ostermark", collection)
    second = Organisation.found(tmp_path / "second", "Nordkai", collection)
    first.record(companies[0])
    there = found_and_published(first, collection)

    hypothesis, rules = becomes_a_hunt(second)
    second.record(companies[1])
    swept = second.run_received(TECHNIQUE)
    settled, by_received = hunted_with(second, hypothesis, rules, there)

    by_rule = events_of_rules(swept)
    assert by_rule, [(r.name, r.status, r.why) for r in swept.results]
    mine = {ref.uid for case in settled.cases for ref in case.events}
    assert mine & by_rule
    assert mine & by_received


def test_the_answer_of_the_second_reaches_the_first_and_its_own_words_start_nothing(
    server: Any, companies: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    collection = server.collection_url(COLLECTION)
    first = Organisation.found(tmp_path / "first", "Ostermark", collection)
    first.record(companies[0])
    found_and_published(first, collection)

    # A new home of the same organisation has lost everything, and pulls its own words back.
    lost = Organisation.found(tmp_path / "lost", "Ostermark", collection)
    lost.record(companies[0])
    _, made = lost.pull()
    (own,) = [h for h in made.hypotheses if h.technique_id == TECHNIQUE]
    assert own.own_only
    assert received_rules(lost.home.kit(), TECHNIQUE) == ()
    assert hits(lost.run_received(TECHNIQUE)) == []

    second = Organisation.found(tmp_path / "second", "Nordkai", collection)
    second.record(companies[1])
    second.pull()
    settled = second.hunt(TECHNIQUE)
    assert settled.cases
    second.close_cases()
    second.publish()
    _, heard = lost.pull()

    (now_theirs,) = [h for h in heard.hypotheses if h.technique_id == TECHNIQUE]
    assert not now_theirs.own_only
    with second.home.store.unit() as unit:
        theirs = {p.object_id for p in unit.publications.list()}
    assert theirs & {s.object_id for s in now_theirs.sources}
    assert any(r.status is Status.HIT for r in lost.run_received(TECHNIQUE).results)
    assert_sound(objects_at(collection))


@pytest.mark.shared_data
def test_a_real_intrusion_travels_to_another_organisation_s_own_recording_of_it(
    collection: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    telemetry = shared_data("telemetry")
    labels = json.loads((telemetry / "labels.json").read_text())["labels"]
    attack = [one for one in labels if TECHNIQUE in one.get("techniques", ())]
    ordinary = [one for one in labels if one["role"] == "baseline"]
    assert attack
    assert ordinary
    if request.node.callspec.params["collection"] != "ours":
        ordinary = ordinary[:1]  # they are long, and the server makes no difference to them
    first = Organisation.found(tmp_path / "first", "First", collection)
    second = Organisation.found(tmp_path / "second", "Second", collection)
    first.record(telemetry / one["file"] for one in attack)
    there = found_and_published(first, collection)

    hypothesis, rules = becomes_a_hunt(second)
    second.record(telemetry / one["file"] for one in (*attack, *ordinary))
    swept = second.run_received(TECHNIQUE)

    with first.home.store.unit() as unit:
        seen = {ref.uid for case in unit.cases.list() for ref in case.events}
    assert seen & events_of_rules(swept)
    _, by_received = hunted_with(second, hypothesis, rules, there)
    assert seen & by_received
    usual = {host.partition(".")[0].upper() for one in ordinary for host in one["hosts"]}
    broken_into = {host.partition(".")[0].upper() for one in attack for host in one["hosts"]}
    assert not {host for one in hits(swept) for host in one.hosts} & (usual - broken_into)
