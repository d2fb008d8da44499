"""The TAXII destination against servers with quirks."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from huntonce.connectors.intel.demo_intel import demo_intel
from huntonce.connectors.intel.taxii_publish import TaxiiDestination
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer
from huntonce.models.errors import TerminalError

pytestmark = pytest.mark.integration
ID = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
RO = "52892447-4d7e-4f70-b94d-d7f22742ff63"
TEXTS = [body.decode() for body in demo_intel()[3:]]


@pytest.fixture
def server() -> Iterator[TaxiiServer]:
    specs = [CollectionSpec(ID, "Exchange", can_write=True), CollectionSpec(RO, "Feed")]
    with TaxiiServer(collections=specs, max_content_length=12_000, page_limit=7) as running:
        yield running


def outcomes(destination: TaxiiDestination, texts: list[str]) -> list[str]:
    return [one.outcome for one in destination.publish(texts)]


def test_envelopes_fit_the_server_and_one_that_cannot_fails_alone(server: TaxiiServer) -> None:
    big = json.dumps({**json.loads(TEXTS[0]), "x_big": "x" * 13_000})
    destination = TaxiiDestination(name="peers", collection_url=server.collection_url(ID))

    answers = destination.publish([*TEXTS, big])

    assert [one.outcome for one in answers] == ["sent"] * len(TEXTS) + ["failed"]
    assert "larger" in answers[-1].why
    assert outcomes(destination, TEXTS) == ["already_present"] * len(TEXTS)


def test_a_collection_that_may_not_be_written_is_told(server: TaxiiServer) -> None:
    with pytest.raises(TerminalError, match="may not be written"):
        TaxiiDestination(name="peers", collection_url=server.collection_url(RO)).publish(TEXTS)


class Quirky:
    """A scripted server: what it answers to POST, status and manifest."""

    def __init__(self, *, can_read: bool = True, **more: Any) -> None:
        self.can_read = can_read
        self.posts: list[list[str]] = []
        self.held: list[dict[str, str]] = []
        self.pending = 0
        self.failures: list[dict[str, str]] = []
        self.refuse = ""
        self.late: list[dict[str, str]] = []
        vars(self).update(more)

    def destination(self) -> TaxiiDestination:
        return TaxiiDestination(
            name="peers",
            collection_url="https://taxii.example/root/collections/1/",
            transport=httpx.MockTransport(self.answer),
            sleep=lambda _: None,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "POST":
            return self.add(request)
        if "/status/" in path:
            self.pending -= 1
            return httpx.Response(200, json=self.status())
        if path.endswith("/manifest/"):
            return httpx.Response(200, json={"objects": self.held} if self.held else {})
        if path.endswith("/collections/1/"):
            rights = {"can_read": self.can_read, "can_write": True}
            return httpx.Response(200, json={"id": "1", "title": "t", **rights})
        return httpx.Response(
            200, json={"title": "r", "versions": ["x"], "max_content_length": 100_000}
        )

    def add(self, request: httpx.Request) -> httpx.Response:
        content = request.content.decode()
        if self.refuse and self.refuse in content:
            return httpx.Response(422)
        self.posts.append([one["id"] for one in json.loads(content)["objects"]])
        self.held += self.late
        return httpx.Response(202, json=self.status())

    def status(self) -> dict[str, Any]:
        state = "pending" if self.pending > 0 else "complete"
        return {
            "id": "s", "status": state, "total_count": 1, "success_count": 0, "pending_count": 0,
            "failure_count": len(self.failures), "failures": self.failures,
        }  # fmt: skip


def entry(text: str) -> dict[str, str]:
    content = json.loads(text)
    return {"id": content["id"], "version": content["modified"], "date_added": "x"}


def test_a_server_that_works_later_is_waited_for() -> None:
    assert outcomes(Quirky(pending=3).destination(), TEXTS[:2]) == ["sent", "sent"]


def test_a_server_that_never_finishes_is_asked_what_it_holds() -> None:
    slow = Quirky(pending=10_000, late=[entry(TEXTS[0])])

    answers = slow.destination().publish(TEXTS[:2])

    assert [one.outcome for one in answers] == ["sent", "failed"]
    assert "not taken it yet" in answers[1].why


def test_a_failure_for_what_is_there_already_is_no_failure() -> None:
    failures = [{"id": json.loads(text)["id"], "message": "Unable"} for text in TEXTS[:2]]
    raced = Quirky(failures=failures, late=[entry(TEXTS[0])])

    answers = raced.destination().publish(TEXTS[:3])

    assert [one.outcome for one in answers] == ["already_present", "failed", "sent"]
    assert answers[1].why == "Unable"


def test_a_drop_box_cannot_be_asked_and_gets_everything() -> None:
    box = Quirky(can_read=False, held=[entry(TEXTS[0])])

    assert outcomes(box.destination(), TEXTS[:2]) == ["sent", "sent"]
    assert len(box.posts[0]) == 2


def test_an_object_that_spoils_the_envelope_is_found_and_fails_alone() -> None:
    bad = json.loads(TEXTS[3])["id"]
    strict = Quirky(refuse=f'"id":"{bad}"')
    texts = [json.dumps(json.loads(text), separators=(",", ":")) for text in TEXTS[:6]]

    answers = strict.destination().publish(texts)

    assert [one.outcome for one in answers].count("sent") == 5
    assert answers[3].outcome == "failed"
    assert "422" in answers[3].why
