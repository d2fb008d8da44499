"""Spans of runs are on only where somebody named an exporter for them."""

from pathlib import Path

import pytest

from huntonce.flows.runtime import QUIET, TRACES, PrefectServer, quiet


@pytest.mark.parametrize(
    ("exporter", "on"),
    [(None, "false"), ("", "false"), ("none", "false"), (" None ", "false"), ("otlp", "true")],
)
def test_prefect_makes_spans_only_for_an_exporter(
    exporter: str | None, on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    if exporter is not None:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", exporter)

    assert quiet()[TRACES] == on
    assert PrefectServer(tmp_path).environment()[TRACES] == on


def test_nothing_else_is_let_loose_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")

    assert {name for name, value in quiet().items() if QUIET[name] != value} == {TRACES}
