"""Intel that lies about times or refers in circles or by the hundred thousand; servers that lie."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from huntonce.connectors.http.client import HttpClient, Limits
from huntonce.connectors.intel.memory import MemorySource
from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.models.errors import ConnectorError, TerminalError, TransientError
from huntonce.models.stages.collect import AHEAD, Collected, collect
from huntonce.models.stages.hypothesise import hypothesise
from tests.support.kits import Bench, bench

URL = "https://taxii.example/root/collections/1/"
STAMP = "2026-01-01T00:00:00.000Z"
ACTOR = "intrusion-set--00000000-0000-4000-8000-000000000001"
PATTERN = "attack-pattern--00000000-0000-4000-8000-000000000002"


def stix(object_id: str, **content: Any) -> bytes:
    head = {"type": object_id.partition("--")[0], "spec_version": "2.1", "id": object_id}
    return json.dumps({**head, "created": STAMP, "modified": STAMP, **content}).encode()


def numbered(kind: str, number: int) -> str:
    return f"{kind}--00000000-0000-4000-8000-{number:012}"


def relation(number: int, source: str, target: str, **more: Any) -> bytes:
    parts = {"relationship_type": "uses", "source_ref": source, "target_ref": target}
    return stix(numbered("relationship", number), **{**parts, **more})


def report() -> list[bytes]:
    reference = {"source_name": "mitre-attack", "external_id": "T1053.005"}
    pattern = stix(PATTERN, name="Task", external_references=[reference])
    return [stix(ACTOR, name="HERON"), pattern, relation(3, ACTOR, PATTERN)]


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    return bench(tmp_path)


def pull(made: Bench, *bodies: bytes) -> Collected:
    source = MemorySource(bodies=list(bodies), name=f"feed{hash(bodies)}")
    return collect(source, made.kit.open_unit, made.clock)


def latest(made: Bench, object_id: str) -> Any:
    with made.unit() as unit:
        return next(one for one in unit.intel.latest() if one.id == object_id).content


# ------------------------------------------------------------------ times


@pytest.mark.parametrize("modified", ["9999-12-31T23:59:59.999Z", "2027-01-01T00:00:00Z"])
def test_a_version_from_the_future_does_not_hold_up_later_ones(made: Bench, modified: str) -> None:
    got = pull(made, stix(ACTOR, name="for ever", modified=modified), *report())

    assert "yet to come" in got.set_aside[0].reason
    pull(made, stix(ACTOR, name="mended", modified="2026-01-02T00:00:00.000Z"))
    assert latest(made, ACTOR)["name"] == "mended"


def test_clocks_that_differ_a_little_do_no_harm(made: Bench) -> None:
    soon = (made.clock() + AHEAD / 2).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    assert pull(made, stix(ACTOR, name="x", modified=soon)).set_aside == ()


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_times_far_off_are_no_reason_to_stop(made: Bench, when: str) -> None:
    indicator = stix(
        numbered("indicator", 5),
        name="x",
        pattern="[file:name = 'a.exe']",
        pattern_type="stix",
        valid_from=when if when < "2" else STAMP,
        valid_until=None if when < "2" else when,
    )
    old = {"created": "0001-01-01T00:00:00Z", "modified": "0001-01-01T00:00:00Z"}
    seen = {"first_seen" if when < "2" else "last_seen": when}
    bodies = [
        stix(ACTOR, name="HERON", **old, **seen),
        *report()[1:],
        indicator,
        relation(6, numbered("indicator", 5), ACTOR, relationship_type="indicates"),
        relation(7, ACTOR, PATTERN, start_time="0001-01-01T00:00:00Z", stop_time=when)
        if when > "2"
        else relation(7, ACTOR, PATTERN, start_time=when),
    ]

    assert pull(made, *bodies).set_aside == ()
    assert [h.technique_id for h in hypothesise(made.kit).hypotheses] == ["T1053.005"]


# ------------------------------------------------------------------ circles and crowds


def test_circles_of_references_come_to_an_end(made: Bench) -> None:
    other = numbered("intrusion-set", 9)
    circle = [
        stix(other, name="WREN"),
        relation(10, ACTOR, other, relationship_type="attributed-to"),
        relation(11, other, ACTOR, relationship_type="attributed-to"),
        relation(12, ACTOR, ACTOR, relationship_type="related-to"),
        relation(13, PATTERN, PATTERN, relationship_type="subtechnique-of"),
        relation(14, numbered("relationship", 15), numbered("relationship", 14)),
        relation(15, numbered("relationship", 14), numbered("relationship", 15)),
        stix(
            numbered("report", 16),
            name="R",
            published=STAMP,
            object_refs=[numbered("report", 17), numbered("report", 16), ACTOR],
        ),
        stix(
            numbered("report", 17),
            name="S",
            published=STAMP,
            object_refs=[numbered("report", 16), PATTERN],
        ),
    ]

    pull(made, *report(), *circle)

    assert [h.technique_id for h in hypothesise(made.kit).hypotheses] == ["T1053.005"]


def test_a_hundred_thousand_references_are_one_object(made: Bench) -> None:
    refs = [numbered("indicator", number) for number in range(100_000)]
    crowd = stix(numbered("report", 20), name="R", published=STAMP, object_refs=refs)

    got = pull(made, *report(), crowd)

    assert got.counts.new + len(got.set_aside) == 4
    assert len(hypothesise(made.kit).hypotheses) == 1


# ------------------------------------------------------------------ servers that lie


def lying(answer: Callable[[int], httpx.Response], **more: Any) -> tuple[TaxiiSource, list[str]]:
    asked: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        assert len(asked) < 500, "it is asked for ever"
        return answer(len(asked))

    transport = httpx.MockTransport(reply)
    source = TaxiiSource(
        name="theirs", collection_url=URL, transport=transport, sleep=lambda _: None, **more
    )
    return source, asked


def fresh(number: int) -> bytes:
    return stix(numbered("intrusion-set", number), name=f"x{number}")


def page(*bodies: bytes, more: bool = True, token: str = "", **headers: str) -> httpx.Response:
    content = b'{"more": %s, %s "objects": [%s]}' % (
        b"true" if more else b"false",
        f'"next": "{token}",'.encode() if token else b"",
        b",".join(bodies),
    )
    return httpx.Response(200, content=content, headers=headers)


@pytest.mark.parametrize("token", ["same", "new"])
def test_a_server_that_always_has_something_new_is_left_in_the_end(token: str) -> None:
    source, asked = lying(
        lambda n: page(fresh(n), token=token if token == "same" else f"t{n}"),
        max_pages=40,
    )

    taken = []
    with pytest.raises(TerminalError, match="does not end"):
        taken.extend(one for batch in source.pull(None) for one in batch.objects)
    assert len(asked) == 40


def test_a_server_that_sends_too_much_in_all_is_left() -> None:
    body = stix(ACTOR, name="x" * 10_000)
    source, asked = lying(lambda n: page(body, fresh(n), token=f"t{n}"), max_bytes=100_000)

    with pytest.raises(TerminalError, match="does not end"):
        list(source.pull(None))
    assert len(asked) < 15


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>log in</html>", headers={"Content-Type": "text/html"}),
        httpx.Response(200, content=b'{"type": "bundle", "objects": []}'),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b"{" + b'"a":{' * 50_000),
        httpx.Response(200, content=b'{"objects": {"a": 1}, "more": true}'),
        httpx.Response(200, content=b'{"more": "yes", "next": {"a": 1}, "objects": [{}]}'),
        httpx.Response(200, content=b"\xff\xfe\x00"),
        httpx.Response(204),
    ],
)
def test_an_answer_that_is_no_page_is_an_error_in_words_or_nothing(answer: httpx.Response) -> None:
    source, _ = lying(lambda _: answer)

    try:
        objects = [one for batch in source.pull(None) for one in batch.objects]
    except ConnectorError as error:
        assert str(error)  # noqa: PT017 - either is right
    else:
        assert objects == []


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:4200/api/",
        "https://evil.example/",
        "//evil.example/x",
        "gopher://127.0.0.1/",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_to_anywhere(status: int, target: str) -> None:
    source, asked = lying(lambda _: httpx.Response(status, headers={"Location": target}))

    with pytest.raises(ConnectorError):
        list(source.pull(None))
    assert all(url.startswith(URL) for url in asked)


def test_no_address_in_an_object_is_ever_opened(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSRF: whatever an object names as an address stays a text."""
    import socket  # noqa: PLC0415 - what is watched

    opened: list[object] = []

    def refuse(_: object, address: object) -> None:
        opened.append(address)
        raise OSError("watched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    inner = "http://169.254.169.254/latest/"
    reference = {"source_name": "x", "url": inner, "external_id": "T1053.005"}
    bodies = [
        stix(
            PATTERN,
            name="T",
            external_references=[reference, {**reference, "source_name": "mitre-attack"}],
        ),
        stix(
            ACTOR,
            name="HERON",
            external_references=[{"source_name": "x", "url": "file:///etc/passwd"}],
        ),
        relation(3, ACTOR, PATTERN, external_references=[reference]),
        stix(
            numbered("indicator", 5),
            pattern=f"[url:value = '{inner}']",
            pattern_type="stix",
            valid_from=STAMP,
            external_references=[reference],
        ),
        json.dumps(
            {
                "type": "artifact",
                "spec_version": "2.1",
                "id": numbered("artifact", 8),
                "url": inner,
                "hashes": {"MD5": "0" * 32},
            }
        ).encode(),
    ]

    pull(made, *bodies)
    hypothesise(made.kit)

    assert opened == []


class _Drip(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in itertools.repeat(None, 200):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dripping() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Drip)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_an_answer_that_drips_is_given_up(dripping: str) -> None:
    client = HttpClient(connector="theirs", limits=Limits(whole=0.3, read=5))

    with client, pytest.raises(TransientError, match="in time"):
        client.get(dripping)
