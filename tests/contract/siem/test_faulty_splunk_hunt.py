"""A SIEM that fails amid a hunt: "could not look" is never told as "nothing there".

The stand-in answers as Splunk does until some request, and wrongly from there on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import SupportsIndex

import pytest
from pytest_httpserver import HTTPServer
from typing_extensions import override
from werkzeug import Response

from huntonce.connectors.siem.splunk import client
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.siem.splunk.siem import SplunkSiem
from huntonce.models.errors import ConnectorError
from huntonce.models.hypothesis import Verdict
from huntonce.models.stages.operate import carry_out, default_window, find_target
from tests.support.faults import ALL_FAULTS
from tests.support.kits import Bench, bench, quiet_day, with_kit
from tests.support.splunk_server import TOKEN, FakeSplunk, messages, serve

HOURS = 6
REQUESTS = 100
"""So many a whole hunt asks, and a few more."""
Fault = tuple[str, Response]
FAULTS: dict[str, Response] = {
    "429": messages("slow down", 429, Retry_After="1000"),
    "503": messages("busy", 503, Retry_After="1000"),
    "500": messages("internal error", 500),
    "401": messages("call not properly authenticated", 401),
    "a page of HTML": Response("<html>gateway</html>", 200, content_type="text/html"),
    "half a body": Response('{"results": [{"a": "b"', 200, content_type="application/json"),
    "nothing": Response("", 200, content_type="application/json"),
    "an empty object": Response("{}", 200, content_type="application/json"),
}


class From(list[Fault]):
    """A fault for every request after the first ones."""

    def __init__(self, fault: Response, sound: int) -> None:
        super().__init__([("*", fault)])
        self.sound = sound

    @override
    def __iter__(self) -> Iterator[Fault]:
        self.sound -= 1
        return super().__iter__() if self.sound < 0 else iter(())

    @override
    def __delitem__(self, _at: SupportsIndex | slice) -> None:
        """It stays."""


@pytest.fixture
def quiet(
    tmp_path: Path, splunk_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FakeSplunk, Bench]]:
    """A day on which nothing happened, in a Splunk; a hunt there rules the behaviour out."""
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.0)
    splunk_server.clear()
    fake = serve(splunk_server, list(quiet_day(hours=HOURS)), "xml")
    fake.looks = 0
    siem = SplunkSiem(SplunkSettings(url=fake.url, token=TOKEN, format="xml"))
    yield fake, with_kit(bench(tmp_path, []), siem=siem)
    siem.close()


def verdict(made: Bench) -> Verdict | None:
    target = find_target(made.kit, "T1053.005")
    return carry_out(made.kit, target, default_window(made.kit))[1].hypothesis.verdict


SHARES = (0.1, 0.6)
POINTS = [
    (fault, share)
    for number, fault in enumerate(FAULTS)
    for share in (SHARES if ALL_FAULTS else (SHARES[number % 2],))
]
"""Each fault and the share of a hunt's requests after which it begins."""


@pytest.mark.parametrize(("fault", "share"), POINTS)
def test_a_siem_that_fails_rules_nothing_out(
    quiet: tuple[FakeSplunk, Bench], fault: str, share: float
) -> None:
    fake, made = quiet
    window = default_window(made.kit)
    before = len(fake.asked)
    target = find_target(made.kit, "T1053.005")
    fake.faults = From(FAULTS[fault], int(share * REQUESTS))
    try:
        ended = carry_out(made.kit, target, window)[1].hypothesis.verdict
    except ConnectorError:
        ended = None
    fake.faults = []

    assert len(fake.asked) > before
    assert ended is not Verdict.RULED_OUT
    with made.unit() as unit:
        assert Verdict.RULED_OUT not in {h.verdict for h in unit.hypotheses.list()}
        assert Verdict.RULED_OUT not in {run.verdict for run in unit.hunts.list()}
    assert verdict(made) is Verdict.RULED_OUT, "it goes on once the SIEM answers"
