"""Numbers as Prometheus reads them: named as in the docs, computed seldom, absent where unknown."""

import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from huntonce.flows import numbers
from huntonce.flows.bootstrap import Home
from huntonce.flows.numbers import Numbers, serving_numbers
from huntonce.models.errors import ConfigError
from huntonce.models.metrics.measure import Measures, measure
from huntonce.models.metrics.records import Records
from huntonce.models.report.definitions import DEFINITIONS
from tests.unit.metrics.metric_example import END, PERIOD, expected, records
from tests.unit.report.report_examples import Turning, fill


def exposed(numbers: Numbers) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(numbers)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_number_of_the_example_has_the_name_and_value_of_the_docs() -> None:
    found = exposed(Numbers(lambda: (measure(records(), PERIOD), 38)))

    for name, value in expected().items():
        assert found[f"huntonce_{name}"] == pytest.approx(value, abs=1e-4)
    assert found["huntonce_gaps_open_by_kind[no source]"] == 2
    assert found["huntonce_log_rows"] == 38


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    found = exposed(Numbers(lambda: (measure(Records(log=(), now=END)), 0)))

    assert "huntonce_remediation_hours" not in found
    assert "huntonce_alert_precision" not in found
    assert found["huntonce_gaps_open"] == 0


def test_numbers_are_computed_at_most_every_so_often() -> None:
    calls: list[float] = []
    time = 0.0

    def read() -> tuple[Measures, int]:
        calls.append(time)
        return measure(records(), PERIOD), 1

    numbers = Numbers(read, kept=30, clock=lambda: time)
    for time in (0.0, 10.0, 29.0, 30.0, 31.0):  # noqa: B007 - the clock reads it
        exposed(numbers)

    assert calls == [0.0, 30.0]


def test_a_scrape_reads_the_home(tmp_path: Path) -> None:
    home = Home(path=tmp_path, clock=Turning())
    fill(home.store, Turning())
    home.close()

    with (
        serving_numbers(tmp_path, host="127.0.0.1", port=0) as address,
        urllib.request.urlopen(address, timeout=30) as answer,  # noqa: S310 - loopback
    ):
        text = answer.read().decode()

    assert re.search(r"^huntonce_gaps_surfaced 2.0$", text, re.MULTILINE)
    assert "# HELP huntonce_gaps_surfaced Gaps surfaced." in text
    assert set(re.findall(r"^huntonce_(\w+?)(?:\{| )", text, re.MULTILINE)) <= {
        *DEFINITIONS,
        "gaps_open_by_kind",
        "log_rows",
    }


def test_numbers_are_not_served_beyond_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError), serving_numbers(tmp_path, host="0.0.0.0", port=0):  # noqa: S104
        pass


def test_a_port_that_is_taken_is_said_with_a_hint(tmp_path: Path) -> None:
    with serving_numbers(tmp_path, host="127.0.0.1", port=0) as address:
        port = int(address.rpartition(":")[2].partition("/")[0])
        with (
            pytest.raises(ConfigError) as caught,
            serving_numbers(tmp_path, host="127.0.0.1", port=port),
        ):
            pass

    assert "--metrics-port" in caught.value.hint


def test_a_page_that_has_its_name_lead_here_reads_no_numbers(tmp_path: Path) -> None:
    with serving_numbers(tmp_path, host="127.0.0.1", port=0) as address:
        lured = urllib.request.Request(address, headers={"Host": "evil.example"})  # noqa: S310 - ours
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(lured, timeout=30)  # noqa: S310 - ours
    assert refused.value.code == 403


def test_clients_that_only_hold_the_line_do_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers._Handler, "timeout", 0.5)
    with serving_numbers(tmp_path, host="127.0.0.1", port=0) as address:
        port = int(address.rpartition(":")[2].partition("/")[0])
        held = [
            socket.create_connection(("127.0.0.1", port), 30)
            for _ in range(numbers.MOST_AT_ONCE + 4)
        ]
        for one in held:
            assert one.recv(10) == b"", "hung up on, at once or when nothing came"
            one.close()
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - ours
            assert answer.status == 200
