"""Published bundles through the real intake and store: every claim is accounted for."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from huntonce.connectors.intel.bundles import BundleFiles
from huntonce.models.deriving import broader
from huntonce.models.intel import IntelObject
from huntonce.models.stages.collect import collect
from huntonce.models.stages.hypothesise import Hypothesised, hypothesise
from huntonce.models.tlp import Tlp
from tests.support.kits import Bench, bench
from tests.support.shared import shared_data

pytestmark = [pytest.mark.integration, pytest.mark.shared_data]

_AFTER_IT = datetime(2027, 1, 1, tzinfo=UTC)
"""Intel from the future is set aside."""


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Hypothesised]:
    made = bench(tmp_path_factory.mktemp("home"), platforms=("windows", "linux"))
    paths: list[Path | str] = [
        path for path in sorted(shared_data("cti").glob("*.json")) if path.name != "index.json"
    ]
    for path in paths:
        source = BundleFiles([path], default_tlp=Tlp.AMBER, name=Path(path).name)
        collect(source, made.kit.open_unit, lambda: _AFTER_IT)
    return made, hypothesise(made.kit)


def claims_of(made: Bench) -> dict[str, IntelObject]:
    with made.unit() as unit:
        return {
            item.id: item
            for item in unit.intel.latest("relationship")
            if item.content["relationship_type"] == "uses"
            and str(item.content["target_ref"]).startswith("attack-pattern--")
        }


def test_every_uses_is_a_source_of_a_hypothesis_or_told(
    derived: tuple[Bench, Hypothesised],
) -> None:
    made, done = derived
    claims = claims_of(made)
    sources = {s.object_id for h in done.hypotheses for s in h.sources}
    told = {item.object_id for item in done.unplaced}
    elsewhere = {technique for technique, _ in done.elsewhere}

    missing = set(claims) - sources - told

    assert len(claims) > 2000
    # What is left is about techniques of which no platform is ours, and those are told too.
    for claim_id in missing:
        assert technique_of(made, claims[claim_id]) in elsewhere


def technique_of(made: Bench, claim: IntelObject) -> str:
    target = str(claim.content["target_ref"])
    with made.unit() as unit:
        pattern = unit.intel.get(target)
    references = pattern.content.get("external_references") if pattern else None
    ids = [
        str(reference.get("external_id"))
        for reference in (references if isinstance(references, list) else [])
        if "attack" in str(reference.get("source_name"))
    ]
    known = made.kit.catalogue.by_stix_id(target)
    found = ids or ([known.id] if known else [])
    assert found, f"{claim.id} leads to nothing that is told"
    return made.kit.catalogue.resolve(found[0]).id


def test_a_second_derivation_writes_nothing(derived: tuple[Bench, Hypothesised]) -> None:
    made, done = derived
    with made.unit() as unit:
        before = len(unit.log.rows())

    again = hypothesise(made.kit)

    assert again.new == ()
    assert again.hypotheses == done.hypotheses
    with made.unit() as unit:
        assert len(unit.log.rows()) == before


def test_each_statement_is_one_that_can_be_hunted(derived: tuple[Bench, Hypothesised]) -> None:
    _, done = derived
    shown = [h for h in done.hypotheses if h.key not in broader(done.hypotheses)]

    assert len({h.key for h in done.hypotheses}) == len(done.hypotheses)
    with_traces = [h for h in shown if "It would leave" in h.statement]
    assert len(with_traces) > 0.9 * len(shown)
    for h in shown:
        assert h.technique_id in h.statement
        assert len(h.statement) < 900
        assert json.dumps(h.statement).isascii() or h.statement.isprintable()
        assert h.priority == pytest.approx(sum(term.value for term in h.terms), abs=1e-3)
        assert all(term.why for term in h.terms)
    assert len({h.priority for h in done.hypotheses}) > 0.3 * len(done.hypotheses)
