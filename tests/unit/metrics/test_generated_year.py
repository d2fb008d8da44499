"""A generated history, smaller than a year's: its numbers hold together, and its page too."""

from collections.abc import Iterator

import pytest

from huntonce.flows.reporting import page_parts
from huntonce.models.metrics.measure import Measures, measure
from huntonce.models.metrics.records import Period, Records
from huntonce.models.metrics.tracing import rows_behind, things_behind
from huntonce.models.report.definitions import DEFINITIONS, TABLES
from huntonce.models.report.html import render_html
from huntonce.models.report.programme import Programme, programme, records_of
from huntonce.models.state.store import Store, open_store, sqlite_url
from tests.support.history import History
from tests.support.history_plan import FLOOR, Moving, Size
from tests.unit.report.page_reading import Page


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    clock = Moving()
    path = tmp_path_factory.mktemp("year") / "store.db"
    with open_store(sqlite_url(path), clock=clock) as made:
        size = Size(hypotheses=60, gaps=60, detections=40, cases=40)
        History(clock, size).write(made)
        yield made


@pytest.fixture(scope="module")
def shown(store: Store) -> Programme:
    with store.unit() as unit:
        at = unit.log.rows()[-1].at
        return programme(unit, organisation="Acme", now=at, floor=FLOOR)


def test_the_log_of_a_generated_history_is_whole(shown: Programme) -> None:
    assert shown.log.broken_at is None
    assert shown.log.rows > 500


def test_its_numbers_hold_together(shown: Programme) -> None:
    n = {name: value or 0 for name, value in shown.numbers.items()}

    assert (n["hypotheses"], n["gaps_surfaced"]) == (60, 60)
    assert n["gaps_closed"] + n["gaps_open"] + n["gaps_risk_accepted"] == n["gaps_surfaced"]
    assert n["detections_guarding"] + n["detections_unhealthy"] <= n["detections_promoted"]
    assert n["cases_confirmed"] + n["cases_false"] <= n["cases_closed"] <= n["cases_opened"]
    verdicts = n["confirmed"] + n["ruled_out"] + n["inconclusive"] + n["blocked"]
    assert verdicts + n["not_hunted"] == n["hypotheses"]
    assert 0.8 * n["ruled_out"] <= n["ruled_out_power"] <= n["ruled_out"]
    assert n["remediation_hours"] <= n["remediation_hours_p90"]
    assert all(n[name] > 0 for name in ("gaps_regressed", "cases_to_intel", "queries_saved"))


def test_every_number_and_table_leads_to_rows_of_the_log(store: Store) -> None:
    with store.unit() as unit:
        records = records_of(unit, now=unit.log.rows()[-1].at)
    measures = measure(records)
    traced = 0
    for name in [*DEFINITIONS, *TABLES]:
        things = things_behind(measures, name)
        for thing in things:
            assert rows_behind(records, (thing,)), f"{name}: no row tells of {thing}"
        rows = rows_behind(records, things)
        assert [row.seq for row in rows] == sorted({row.seq for row in rows})
        traced += bool(rows)

    assert traced >= 40
    closed = rows_behind(records, things_behind(measures, "gaps_closed"))
    ended = {row.subject for row in closed if row.after == "closed"}
    assert len(ended) == measures["gaps_closed"]


def test_no_row_after_the_end_of_the_period_is_behind_its_numbers(store: Store) -> None:
    with store.unit() as unit:
        log = unit.log.rows()
        records = records_of(unit, now=log[-1].at)
    period = Period(start=log[0].at, end=log[len(log) // 2].at)
    rows = rows_behind(records, things_behind(measure(records, period), "gaps_surfaced"), period)

    assert rows
    assert max(row.at for row in rows) <= log[len(log) // 2].at


def test_every_thing_that_a_number_names_is_in_the_store(shown: Programme) -> None:
    known = {view.gap.id for view in shown.gaps} | {view.case.id for view in shown.cases}
    known |= {view.hypothesis.id for view in shown.hypotheses}
    known |= {view.detection.id for view in shown.detections} | {v.run.id for v in shown.hunts}
    for name in DEFINITIONS:
        if name not in {"techniques_guarded", "techniques_newly_guarded"}:
            rows = set(shown.measures.numbers[name].rows)
            assert rows <= known or name in {"objects_published", "intel_to_hypotheses"}, name


def test_every_link_of_its_page_leads_somewhere_though_not_all_fits(shown: Programme) -> None:
    template, css = page_parts()
    page = Page(render_html(shown, template=template, css=css))

    assert page.faults == []
    ids = {e.attributes["id"] for e in page.elements if "id" in e.attributes}
    links = {e.attributes.get("href", "") for e in page.elements}
    assert {link[1:] for link in links if link.startswith("#")} <= ids
    bars = [e for e in page.elements if e.attributes.get("class") == "c-up"]
    assert len(bars) > 8


def test_measuring_twice_gives_the_same(store: Store, shown: Programme) -> None:
    with store.unit() as unit:
        records = Records(
            log=unit.log.rows(),
            now=shown.at,
            hypotheses=unit.hypotheses.list(),
            hunts=unit.hunts.list(),
            gaps=unit.gaps.list(),
            detections=unit.detections.list(),
            cases=unit.cases.list(),
            publications=unit.publications.list(),
        )
    found: Measures = measure(records)

    assert found == shown.measures
