"""Intel in, once; hypotheses out, merged."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from huntonce.connectors.intel.memory import MemorySource
from huntonce.models.errors import TransientError
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.stages.collect import Collected, collect
from huntonce.models.stages.hypothesise import hypothesise
from tests.support.kits import Bench, bench

STAMP = "2026-02-01T00:00:00.000Z"
ACTOR = "intrusion-set--00000000-0000-4000-8000-000000000001"
PATTERN = "attack-pattern--00000000-0000-4000-8000-000000000002"
USES = "relationship--00000000-0000-4000-8000-000000000003"


def stix(object_id: str, **content: object) -> bytes:
    return json.dumps(
        {
            "type": object_id.partition("--")[0],
            "spec_version": "2.1",
            "id": object_id,
            "created": STAMP,
            "modified": STAMP,
            **content,
        }
    ).encode()


def report(technique: str = "T1053.005", number: int = 2) -> list[bytes]:
    """An actor that uses a technique."""
    pattern = PATTERN[:-1] + str(number)
    reference = {"source_name": "mitre-attack", "external_id": technique}
    return [
        stix(ACTOR, name="COPPER HERON"),
        stix(pattern, name=technique, external_references=[reference]),
        stix(
            USES[:-2] + f"{number}9",
            relationship_type="uses",
            source_ref=ACTOR,
            target_ref=pattern,
            description="They register a task that runs at logon.",
        ),
    ]


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    return bench(tmp_path)


def pull(made: Bench, source: MemorySource) -> Collected:
    return collect(source, made.kit.open_unit, made.clock)


def stored(made: Bench) -> list[str]:
    with made.unit() as unit:
        return sorted(item.id for item in unit.intel.latest())


def cursor(made: Bench) -> str | None:
    with made.unit() as unit:
        return unit.intel.cursor("memory")


# ---------------------------------------------------------------- collect


def test_every_good_object_is_kept_and_every_bad_one_set_aside(made: Bench) -> None:
    source = MemorySource(bodies=[*report(), b"{not json", b'{"type": "x"}'])

    got = pull(made, source)

    assert (got.counts.new, len(got.set_aside)) == (3, 2)
    assert len(stored(made)) == 3
    with made.unit() as unit:
        assert len(unit.set_aside.list()) == 2


def test_the_cursor_moves_with_the_last_page_only(made: Bench) -> None:
    source = MemorySource(bodies=report(), page_size=1)

    got = pull(made, source)

    assert (got.batches, got.cursor) == (3, "3")
    assert cursor(made) == "3"


def test_an_interrupted_pull_keeps_what_came_and_starts_over(made: Bench) -> None:
    source = MemorySource(
        bodies=report(),
        page_size=1,
        fail_at_page=3,
        fault=TransientError("gone", connector="memory"),
    )

    with pytest.raises(TransientError):
        pull(made, source)

    assert len(stored(made)) == 2
    assert cursor(made) is None
    again = pull(made, source)
    assert (again.counts.new, again.counts.duplicate) == (1, 2)
    assert cursor(made) == "3"


def test_an_interruption_leaves_the_earlier_cursor(made: Bench) -> None:
    source = MemorySource(bodies=report(), page_size=1)
    pull(made, source)
    source.bodies += report("T1059.001", 4)[1:]
    source.fail_at_page, source.fault = 2, TransientError("gone", connector="memory")

    with pytest.raises(TransientError):
        pull(made, source)

    assert cursor(made) == "3"
    assert pull(made, source).counts.objects == 2


def test_the_same_intel_twice_adds_nothing(made: Bench) -> None:
    pull(made, MemorySource(bodies=report()))

    again = pull(made, MemorySource(bodies=report() * 2, name="other"))

    assert (again.counts.new, again.counts.duplicate) == (0, 6)


# ---------------------------------------------------------------- hypothesise


def derive(made: Bench, *bodies: bytes) -> tuple[Hypothesis, ...]:
    source = MemorySource(bodies=list(bodies), name=f"feed{len(stored(made))}")
    collect(source, made.kit.open_unit, made.clock)
    return hypothesise(made.kit).hypotheses


def test_a_claim_becomes_a_hypothesis_that_is_ready_where_a_hunt_is_at_hand(made: Bench) -> None:
    found = {
        h.technique_id: h.state
        for h in derive(made, *report(), *report("T1113", 4)[1:])
        if h.scope == "windows"
    }

    assert found == {
        "T1053.005": HypothesisState.READY,
        "T1113": HypothesisState.PROPOSED,
    }


def test_deriving_again_adds_nothing_and_changes_nothing(made: Bench) -> None:
    first = derive(made, *report())

    again = hypothesise(made.kit)

    assert again.hypotheses == first
    assert again.new == ()
    with made.unit() as unit:
        rows = unit.log.rows()
    assert len(rows) == len(first) + sum(h.state is HypothesisState.READY for h in first)


def test_a_known_hypothesis_keeps_its_state_verdict_and_windows(made: Bench) -> None:
    (first,) = derive(made, *report())
    window = ("2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00")
    with made.unit() as unit:
        held = unit.hypotheses.get(first.id)
        assert held is not None
        for state in (HypothesisState.HUNTING, HypothesisState.CONCLUDED):
            held = unit.hypotheses.save(
                replace(held, state=state, verdict=Verdict.RULED_OUT, hunted=(window,)),
                actor="test",
                why="a test",
            )
        unit.commit()

    other = stix("malware--00000000-0000-4000-8000-000000000008", name="Tidewater", is_family=True)
    uses = stix(
        "relationship--00000000-0000-4000-8000-000000000009",
        relationship_type="uses",
        source_ref="malware--00000000-0000-4000-8000-000000000008",
        target_ref=PATTERN,
    )
    (merged,) = derive(made, other, uses)

    assert merged.id == first.id
    assert (merged.state, merged.verdict) == (HypothesisState.CONCLUDED, Verdict.RULED_OUT)
    assert merged.hunted == (window,)
    assert len(merged.sources) > len(first.sources)


def test_a_hypothesis_that_no_intel_speaks_of_any_more_stays(made: Bench) -> None:
    (first,) = derive(made, *report())
    revoked = json.loads(report()[2])
    revoked |= {"revoked": True, "modified": "2026-02-02T00:00:00.000Z"}

    after = derive(made, json.dumps(revoked).encode())

    assert [h.id for h in after] == [first.id]
