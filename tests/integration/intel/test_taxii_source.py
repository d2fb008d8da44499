"""The TAXII source against our server, and against servers that misbehave."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from huntonce.connectors.intel.demo_intel import demo_intel
from huntonce.connectors.intel.taxii import MAX_EMPTY_PAGES, TaxiiSource
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer, User
from huntonce.models.errors import ConfigError, TerminalError, TransientError
from huntonce.models.intake import IntelBatch
from huntonce.models.tlp import Tlp

pytestmark = pytest.mark.integration
ID = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
OTHER = "52892447-4d7e-4f70-b94d-d7f22742ff63"
BODIES = list(demo_intel())


@pytest.fixture
def server() -> Iterator[TaxiiServer]:
    specs = [CollectionSpec(ID, "Exchange", can_write=True), CollectionSpec(OTHER, "Other feed")]
    with TaxiiServer(users=[User("u", "p")], collections=specs, page_limit=20) as running:
        yield running


def source(server: TaxiiServer, **more: Any) -> TaxiiSource:
    settings = {"username": "u", "password": "p", "overlap_seconds": 0, **more}
    if "discovery_url" not in settings:
        settings["collection_url"] = server.collection_url(ID)
    return TaxiiSource(name="feed", **settings)


def ids(batches: list[IntelBatch]) -> list[str]:
    return [one.id for batch in batches for one in batch.objects]


def test_paging_with_a_stored_cursor_equals_one_undisturbed_pull(server: TaxiiServer) -> None:
    parts: list[str] = []
    cursor = None
    for start in range(0, len(BODIES), 17):
        server.seed(ID, BODIES[start : start + 17])
        batches = list(source(server, page_size=5).pull(cursor))
        parts += ids(batches)
        cursor = batches[-1].cursor

    assert parts == ids(list(source(server).pull(None)))
    assert len(parts) == len(BODIES)


def test_an_interrupted_pull_is_taken_up_from_the_old_cursor(server: TaxiiServer) -> None:
    server.seed(ID, BODIES[:10])
    cursor = list(source(server).pull(None))[-1].cursor
    server.seed(ID, BODIES[10:30])

    pages = source(server, page_size=4).pull(cursor)
    first = next(pages)
    pages.close()  # type: ignore[attr-defined]
    again = list(source(server, page_size=4).pull(cursor))

    assert first.cursor is None
    assert len(ids(again)) == 20
    assert ids(again)[:4] == ids([first])


def test_objects_added_while_a_pull_runs_are_neither_lost_nor_doubled(server: TaxiiServer) -> None:
    server.seed(ID, BODIES[:12])
    pages = source(server, page_size=5).pull(None)

    batches = [next(pages)]
    server.seed(ID, BODIES[12:20])
    batches += list(pages)
    server.seed(ID, BODIES[20:25])
    batches += list(source(server, page_size=5).pull(batches[-1].cursor))

    assert len(ids(batches)) == len(set(ids(batches))) == 25


def test_the_cursor_is_the_server_s_own_text(server: TaxiiServer) -> None:
    server.seed(ID, BODIES[:3])

    cursor = list(source(server).pull(None))[-1].cursor

    answer = httpx.get(f"{server.collection_url(ID)}objects/", auth=("u", "p"))
    assert cursor == answer.headers["X-TAXII-Date-Added-Last"]


def test_an_overlap_brings_the_last_seconds_again_and_keeps_the_cursor(server: TaxiiServer) -> None:
    server.seed(ID, BODIES[:3])
    cursor = list(source(server).pull(None))[-1].cursor

    batches = list(source(server, overlap_seconds=60).pull(cursor))

    assert len(ids(batches)) == 3
    assert batches[-1].cursor == cursor


@pytest.mark.parametrize("wanted", [ID, "exchange", "Exchange"])
def test_a_collection_is_found_by_id_or_title(server: TaxiiServer, wanted: str) -> None:
    server.seed(ID, BODIES[:3])

    found = source(server, discovery_url=server.discovery_url, collection=wanted)

    assert len(ids(list(found.pull(None)))) == 3


def test_a_collection_that_is_not_there_is_told_with_what_is(server: TaxiiServer) -> None:
    lost = source(server, discovery_url=server.discovery_url, collection="nope")

    with pytest.raises(TerminalError) as caught:
        list(lost.pull(None))
    assert "Exchange, Other feed" in caught.value.hint


def test_an_address_is_needed_and_only_one() -> None:
    for more in ({}, {"collection_url": "http://a/", "discovery_url": "http://b/"}):
        with pytest.raises(ConfigError):
            TaxiiSource(name="feed", **more)


Handler = Callable[[httpx.Request], httpx.Response]


def scripted(handler: Handler, **more: Any) -> TaxiiSource:
    return TaxiiSource(
        name="feed",
        collection_url="https://taxii.example/root/collections/1",
        transport=httpx.MockTransport(handler),
        default_tlp=Tlp.GREEN,
        overlap_seconds=0,
        **more,
    )


def page(bodies: list[bytes], added: str = "", **more: Any) -> httpx.Response:
    content = {**more, "objects": [orjson.Fragment(body) for body in bodies]}
    headers = {"X-TAXII-Date-Added-Last": added} if added else {}
    return httpx.Response(200, content=orjson.dumps(content), headers=headers)


def stamp(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}.000000Z"


def test_a_token_that_expired_is_replaced_by_the_date_reached() -> None:
    asked: list[dict[str, str]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params)
        asked.append(params)
        if len(asked) == 1:
            return page(BODIES[:3], stamp(10), more=True, next="t1")
        if params.get("next") == "t1":
            return httpx.Response(404)
        return page(BODIES[3:5], stamp(20))

    batches = list(scripted(handler).pull(None))

    assert len(ids(batches)) == 5
    assert batches[-1].cursor == stamp(20)
    assert "next" not in asked[2]
    assert asked[2]["added_after"] < stamp(10)


def test_tokens_that_always_expire_end_the_pull() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if "next" in request.url.params:
            return httpx.Response(400)
        return page(BODIES[:3], stamp(10), more=True, next="t")

    with pytest.raises(TransientError, match="forgets"):
        list(scripted(handler).pull(None))


def test_the_same_page_again_and_again_ends_the_pull() -> None:
    pages = scripted(lambda _: page(BODIES[:3], stamp(1), more=True, next="t")).pull(None)
    first = next(pages)

    assert first.cursor is None
    assert len(ids([first])) == 3
    with pytest.raises(TerminalError, match="same page"):
        list(pages)


def test_a_few_empty_pages_are_passed_and_many_end_the_pull() -> None:
    def handler(empty: int) -> Handler:
        count = iter(range(1000))
        return lambda _: (
            page([], more=True, next="t") if next(count) < empty else page(BODIES[:2], stamp(1))
        )

    assert len(ids(list(scripted(handler(MAX_EMPTY_PAGES)).pull(None)))) == 2
    with pytest.raises(TerminalError, match="empty pages"):
        list(scripted(handler(MAX_EMPTY_PAGES + 1)).pull(None))


def test_more_without_next_goes_on_by_date_and_loses_no_tie() -> None:
    held = [(stamp(1), body) for body in BODIES[:3]] + [(stamp(2), body) for body in BODIES[3:7]]

    def handler(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("added_after", "")
        found = [one for one in held if one[0] > after][:5]
        more = bool(found) and found[-1] != held[-1]
        return page([body for _, body in found], found[-1][0] if found else "", more=more)

    batches = list(scripted(handler).pull(None))

    assert set(ids(batches)) == {orjson.loads(body)["id"] for body in BODIES[:7]}
    assert batches[-1].cursor == stamp(2)


def test_more_with_neither_next_nor_date_ends_the_pull() -> None:
    with pytest.raises(TerminalError, match="not where"):
        list(scripted(lambda _: page(BODIES[:3], more=True)).pull(None))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<html>", TerminalError),
        (b"[]", TerminalError),
        (b'{"type": "bundle", "objects": []}', TerminalError),
        (b'{"objects": [{"a": 1}, {', TransientError),
    ],
)
def test_an_answer_that_is_no_envelope_ends_the_pull(
    content: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(scripted(lambda _: httpx.Response(200, content=content)).pull(None))


def test_a_cursor_that_is_no_timestamp_goes_back_as_it_came() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["added_after"])
        return page([])

    batches = list(scripted(handler).pull("seq:17"))

    assert asked == ["seq:17"]
    assert batches[-1].cursor == "seq:17"


def test_a_server_that_sends_us_elsewhere_does_not_get_our_password() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, json={"title": "t", "api_roots": ["https://evil.example/root/"]})

    lured = TaxiiSource(
        name="feed",
        discovery_url="https://taxii.example/taxii2/",
        collection="x",
        username="u",
        password="p",
        transport=httpx.MockTransport(handler),
    )
    with pytest.raises(TerminalError, match=r"evil\.example"):
        list(lured.pull(None))
    assert asked == ["taxii.example"]
