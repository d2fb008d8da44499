"""A hunt on a Sentinel that answers wrongly ends in the same findings, or says what it missed.

One of the stand-in's answers goes wrong, or every one from there on. The faults are put between the
connector's client and the server.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from huntonce.connectors.siem.sentinel.siem import SentinelSiem
from huntonce.models.errors import HuntonceError
from huntonce.models.gap import GapKind
from huntonce.models.hypothesis import Verdict
from huntonce.models.ports import Siem
from huntonce.models.stages.operate import carry_out, find_target
from huntonce.models.stages.settle import Settled
from huntonce.models.windows import Window
from tests.contract.siem.test_splunk_hunt import EVENTS, HOURS, told
from tests.support.builders import T0
from tests.support.faults import ALL_FAULTS
from tests.support.kits import Bench, bench, with_kit
from tests.support.sentinel.fixtures import settings_of
from tests.support.sentinel.holding import tables_of
from tests.support.sentinel.service import Service, server_of

FAULTS: dict[str, Callable[[httpx.Response], httpx.Response]] = {
    "429": lambda _: httpx.Response(429, headers={"Retry-After": "1"}, json={}),
    "half a body": lambda whole: _with(whole, whole.read()[: len(whole.read()) // 2]),
    "no body": lambda whole: _with(whole, b""),
    "a page of HTML": lambda _: httpx.Response(200, html="<html>gateway</html>"),
    "an object without anything": lambda _: httpx.Response(200, json={}),
}
ONWARDS = 10_000


def _with(whole: httpx.Response, body: bytes) -> httpx.Response:
    return httpx.Response(
        whole.status_code, content=body, headers={"Content-Type": "application/json"}
    )


def _late(_whole: httpx.Response) -> httpx.Response:
    raise httpx.ReadTimeout("the SIEM did not answer in time")


def _gone(_whole: httpx.Response) -> httpx.Response:
    raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


FAULTS |= {"too late": _late, "the connection breaks": _gone}


@dataclass
class Between:
    """What stands between the client and the server.

    Attributes:
        first: Number of the answer from which on it goes wrong, from 1; 0: none.
        times: How many of them.
        seen: How many there were.
    """

    fault: Callable[[httpx.Response], httpx.Response] | None = None
    first: int = 0
    times: int = 1
    seen: int = 0
    done: int = field(default=0)

    def hand_on(self, whole: httpx.Response) -> httpx.Response:
        self.seen += 1
        if self.fault is None or not self.first <= self.seen < self.first + self.times:
            return whole
        self.done += 1
        return self.fault(whole)


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Between:
    """In the way of all requests; and nobody waits for a second try."""
    standing = Between()
    sent = httpx.HTTPTransport.handle_request

    def handle(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        return standing.hand_on(sent(transport, request))

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    return standing


Make = Callable[[], Siem]
WINDOW = Window(T0, T0 + timedelta(hours=HOURS))


def on(folder: Path, siem: Siem) -> Bench:
    """A new estate whose logs are in that SIEM."""
    folder.mkdir()
    made = with_kit(bench(folder), siem=siem)
    made.clock.moment = WINDOW.end + timedelta(hours=1)
    return made


@pytest.fixture
def opened() -> Iterator[Make]:
    """Opens a Sentinel over the events of the hunt."""
    service = Service()
    server = server_of(service)
    settings = settings_of(service, service.hold(tables_of(EVENTS, "Event")))
    yield lambda: SentinelSiem(settings)
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Sound:
    """What an undisturbed hunt ends in, and after how many answers."""

    told: dict[str, Any]
    answers: int


@pytest.fixture(scope="module")
def known() -> list[Sound]:
    """Filled by the first test: a hunt costs the stand-in a second."""
    return []


@pytest.fixture
def sound(known: list[Sound], opened: Make, between: Between, tmp_path: Path) -> Sound:
    """An undisturbed hunt that finds something, and gaps."""
    if not known:
        found = looked(on(tmp_path / "sound", opened()))
        assert isinstance(found, Settled)
        known.append(Sound(told(found), between.seen))
    assert known[0].told["findings"]
    assert known[0].told["gaps"]
    return known[0]


def looked(made: Bench) -> Settled | HuntonceError:
    """What the hunt ended in; a fault that is none of ours is raised."""
    target = find_target(made.kit, "T1053.005")
    try:
        return carry_out(made.kit, target, WINDOW)[1]
    except HuntonceError as error:
        return error


def assert_nothing_was_made_of_it(ended: Settled | HuntonceError, sound: dict[str, Any]) -> bool:
    """Whether it ended in a fault or left something unseen, and said so; else in the same."""
    if isinstance(ended, HuntonceError):
        assert str(ended)
        return True
    found = told(ended)
    if found == sound:
        return False
    cut = [check for check in ended.run.checks if not check.complete]
    assert cut or ended.hypothesis.verdict is Verdict.BLOCKED, found
    assert all(check.why for check in cut)
    assert ended.hypothesis.verdict is not Verdict.RULED_OUT
    assert ended.hypothesis.hunted == (), "what was not seen counts as hunted"
    # An answer that stays wrong is a gap of ours at the SIEM; no host is said to be silent for it.
    invented = set(found["gaps"]) - set(sound["gaps"])
    assert {gap[0] for gap in invented} <= {str(GapKind.PERMISSION)}
    return True


ONCE, ON = (0.9, 1), (0.75, ONWARDS)
POINTS = [
    (fault, (ONCE, ON) if ALL_FAULTS else ((ONCE, ON)[number % 2],))
    for number, fault in enumerate(FAULTS)
]
"""Each fault and where it comes: share of the answers before it, and how many are harmed."""


@pytest.mark.parametrize(("fault", "points"), POINTS)
def test_it_ends_in_the_same_findings_or_says_what_was_not_seen(
    opened: Make,
    between: Between,
    tmp_path: Path,
    fault: str,
    points: Sequence[tuple[float, int]],
    sound: Sound,
) -> None:
    for share, times in points:
        made = on(tmp_path / f"at-{share}", opened())
        between.fault, between.times = FAULTS[fault], times
        between.first, between.seen, between.done = 1 + int(share * sound.answers), 0, 0

        ended = looked(made)

        assert between.done
        between.fault = None
        unseen = assert_nothing_was_made_of_it(ended, sound.told)
        if times == ONWARDS:
            assert unseen, "it answered nothing, and was taken for it"
            again = looked(made)
            assert isinstance(again, Settled)
            # What was found amid the fault keeps the score of then: what, and where, is the same.
            entities = [(one[0], one[3]) for one in told(again)["findings"]]
            assert entities == [(one[0], one[3]) for one in sound.told["findings"]]
