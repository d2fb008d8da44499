"""DeTT&CT's files and the Navigator layer, held to their formats and to what was probed."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.flows.visibility import _yaml
from huntonce.models.power import power
from huntonce.models.report.visibility import (
    Measured,
    by_halves,
    by_lag,
    by_quarters,
    components_of,
    data_sources,
    layer,
    techniques,
    visibility_score,
)
from huntonce.models.seeing import probe
from tests.support.builders import SECURITY, Arrived, arrivals
from tests.support.kits import catalogue, library

TODAY = date(2026, 11, 24)
TEN = [f"PC{n}" for n in range(10)]
KNOWN: dict[str, Any] = {"organisation": "Test & Co", "today": TODAY}


def measured(
    rows: Sequence[Arrived], fill: Sequence[tuple[str, str, int, str, int, int]] = (), **more: Any
) -> Measured:
    model = library().evidence["T1053.005"]
    arrived = arrivals(rows, fill=fill, **more)
    probes = probe(model, TEN, arrived)
    return Measured(
        model=model,
        window=arrived.window,
        population=len(TEN),
        probes=probes,
        power=power(model, TEN, arrived.window, probes),
    )


def half() -> Measured:
    rows: list[Arrived] = [(host, SECURITY, 4698, 0, 4) for host in TEN[:5]]
    fill = [
        (host, SECURITY, 4698, name, 4, 4)
        for host in TEN[:5]
        for name in ("TaskName", "TaskContent", "SubjectUserName", "SubjectUserSid")
    ]
    return measured(rows, fill, lags=[("PC0", SECURITY, 4, 60.0)])


def source(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [s for s in document["data_sources"] if s["data_source_name"] == name]
    (system,) = found["data_source"]
    result: dict[str, Any] = system
    return result


def test_traces_are_the_data_components_that_attack_says_they_are() -> None:
    found = components_of([half()], catalogue())

    assert found["security/4698"] == "Scheduled Job Creation"
    assert found["sysmon/1-user"] == "Process Creation"
    assert set(found) == {atom.id for atom in half().model.atoms}
    assert set(found.values()) <= set(catalogue().components.values())


def test_data_quality_is_what_was_measured() -> None:
    document = data_sources([half()], catalogue(), max_lag=86_400, **KNOWN)

    jobs = source(document, "Scheduled Job Creation")
    assert jobs["data_quality"] == {
        "device_completeness": 2,
        "data_field_completeness": 5,
        "timeliness": 5,
        "consistency": 5,
        "retention": 5,
    }
    assert jobs["available_for_data_analytics"]
    absent = source(document, "File Creation")
    assert set(absent["data_quality"].values()) == {0}
    assert absent["date_connected"] is None


def test_the_files_have_the_form_that_dettect_reads() -> None:
    sources = data_sources([half()], catalogue(), max_lag=86_400, **KNOWN)
    scored = techniques([half()], catalogue(), **KNOWN)

    assert (sources["version"], sources["file_type"]) == (1.1, "data-source-administration")
    assert (scored["version"], scored["file_type"]) == (1.2, "technique-administration")
    systems = {system["applicable_to"] for system in sources["systems"]}
    for one in sources["data_sources"]:
        for system in one["data_source"]:
            assert set(system["applicable_to"]) <= systems | {"all"}
            assert all(0 <= score <= 5 for score in system["data_quality"].values())
    for one in scored["techniques"]:
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", one["technique_id"])
        for part in ("detection", "visibility"):
            for entry in one[part][0]["score_logbook"]:
                assert -1 <= entry["score"] <= (5 if part == "detection" else 4)
        (entry,) = one["visibility"][0]["score_logbook"]
        assert entry["auto_generated"] is True
        assert entry["date"] == TODAY
        assert "5 of 10 hosts" not in entry["comment"]  # execution is seen nowhere
    text = _yaml(sources)
    assert "&id" not in text
    assert "date_registered: 2026-11-24\n" in text


def test_the_layer_is_a_navigator_layer_of_format_4_5() -> None:
    made = layer([half()], catalogue(), **KNOWN)

    assert made["domain"] == "enterprise-attack"
    assert made["versions"] == {"attack": "18", "navigator": "5.3.2", "layer": "4.5"}
    assert len(made["gradient"]["colors"]) >= 2
    assert made["sorting"] in range(4)
    (one,) = made["techniques"]
    assert set(one) <= {"techniqueID", "score", "comment", "enabled", "metadata"}
    assert one["score"] == 0
    assert {"name": "creation", "value": "50 %"} in one["metadata"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_is_never_scored_lower(one: float, two: float) -> None:
    low, high = sorted((one, two))

    for score in (by_quarters, by_halves, visibility_score):
        assert score(low) <= score(high)
        assert (score(low) == 0) == (low == 0)


@pytest.mark.parametrize(
    ("share", "quarters", "seen", "halves"),
    [
        (0, 0, 0, 0),
        (0.25, 1, 1, 1),
        (0.26, 2, 2, 1),
        (0.5, 2, 2, 1),
        (0.75, 3, 3, 3),
        (0.99, 4, 3, 3),
        (1, 5, 4, 5),
    ],
)
def test_scores_are_dettects(share: float, quarters: int, seen: int, halves: int) -> None:
    assert (by_quarters(share), visibility_score(share), by_halves(share)) == (
        quarters,
        seen,
        halves,
    )


def test_timeliness_that_nobody_knows_is_no_score() -> None:
    assert [by_lag(lag, 3600.0) for lag in (None, 5.0, 3000.0, 4000.0)] == [0, 5, 3, 1]
