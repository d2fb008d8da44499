"""Inputs that the fuzzer (tests/fuzz) broke a parser with, in short; each ended in a traceback."""

import httpx
import pytest

from huntonce.connectors.http.client import retry_after
from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.connectors.sigma.received import read_rule
from huntonce.connectors.sigma.rules import validate_rule
from tests.unit.sigma.test_sigma_rules import RULE

FAR = ("Thu, 01 Jan 99999999999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359")
NEAR = ("Mon, 01 Jan 0001 00:00:00 +2359", "Thu, 01 Jan 2026 99:99:99 GMT")


@pytest.mark.parametrize("date", [*FAR, *NEAR])
def test_a_server_s_impossible_clock_does_not_end_a_pull(date: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Date": date}, json={"more": False, "objects": []})

    source = TaxiiSource(
        name="theirs",
        collection_url="https://taxii.example/root/collections/1/",
        transport=httpx.MockTransport(answer),
    )

    assert len(list(source.pull(None))) == 1


@pytest.mark.parametrize("date", [*FAR, *NEAR])
def test_an_impossible_time_to_try_again_is_none_or_bounded(date: str) -> None:
    seconds = retry_after(date)

    assert seconds is None or 0 <= seconds <= 3600


@pytest.mark.parametrize("names", ["{a: b}", "[1]", "[[x]]", "[{a: b}]"])
@pytest.mark.parametrize("where", ["rules", "group-by"])
def test_a_correlation_of_things_that_are_no_names_is_refused(where: str, names: str) -> None:
    parts = {"rules": "[other]", "group-by": "[User]", where: names}
    text = (
        "title: n\ncorrelation: {type: event_count, timespan: 5m, condition: {gt: 3}, "
        + ", ".join(f"{key}: {value}" for key, value in parts.items())
        + "}\n"
    )

    assert read_rule(text).fault


@pytest.mark.parametrize("condition", [")", "selection and", "1 of", "not"])
def test_the_validators_of_pysigma_end_in_words(condition: str) -> None:
    faults = validate_rule(RULE.replace("condition: selection", f"condition: '{condition}'"))

    assert faults
