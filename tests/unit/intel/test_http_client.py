import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.http.client import MAX_RETRY_AFTER, HttpClient, Limits, retry_after
from huntonce.models.errors import ConnectorError, TerminalError, TransientError

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, max_body: int = 1000) -> HttpClient:
    return HttpClient(
        connector="siem",
        base_url="https://siem.example",
        auth=("hunter", "s3cret"),
        limits=Limits(max_body=max_body),
        transport=httpx.MockTransport(handler),
    )


def answer(status: int, **more: object) -> Handler:
    return lambda _: httpx.Response(status, **more)  # type: ignore[arg-type]


def raising(error: Exception) -> Handler:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    return handler


def test_an_answer_comes_back_whole_with_headers_and_json() -> None:
    reply = client(answer(200, json={"a": 1}, headers={"X-A": "b"})).get("/x")

    assert (reply.status, reply.json(), reply.headers["x-a"]) == (200, {"a": 1}, "b")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_busy_and_failing_servers_are_worth_another_try(status: int) -> None:
    with pytest.raises(TransientError) as caught:
        client(answer(status, headers={"Retry-After": "7"})).get("/x")

    assert caught.value.retry_after == 7
    assert str(status) in str(caught.value)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 406, 413, 415, 422, 501])
def test_refusals_are_final(status: int) -> None:
    with pytest.raises(TerminalError) as caught:
        client(answer(status, headers={"Location": "https://elsewhere.example/"})).get("/x")

    assert caught.value.connector == "siem"
    assert caught.value.hint or status == 501


def test_a_status_that_the_caller_expects_is_an_answer() -> None:
    assert client(answer(404)).get("/x", accept=frozenset({404})).status == 404


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (httpx.ConnectError("refused"), TransientError),
        (httpx.ReadTimeout("slow"), TransientError),
        (httpx.RemoteProtocolError("closed"), TransientError),
        (httpx.UnsupportedProtocol("ftp"), TerminalError),
        (httpx.DecodingError("gzip"), TransientError),
    ],
)
def test_faults_of_the_wire_are_translated(
    fault: Exception, expected: type[ConnectorError]
) -> None:
    with pytest.raises(expected):
        client(raising(fault)).get("/x")


def test_a_certificate_that_is_not_trusted_is_final() -> None:
    fault = httpx.ConnectError("tls")
    fault.__cause__ = ssl.SSLCertVerificationError("self-signed")

    with pytest.raises(TerminalError, match="certificate"):
        client(raising(fault)).get("/x")


@pytest.mark.parametrize("url", ["ftp://a:s3cret@host/", "http://a:s3cret@host:port/", "nothing"])
def test_an_address_that_is_none_is_final(url: str) -> None:
    with pytest.raises(TerminalError) as caught:
        HttpClient(connector="x").get(url)

    assert "s3cret" not in f"{caught.value} {caught.value.__cause__!r}"


def test_a_body_beyond_the_limit_is_not_read_to_the_end() -> None:
    with pytest.raises(TerminalError, match="larger than 1000 bytes"):
        client(answer(200, content=b"x" * 1001)).get("/x")


def test_no_message_carries_a_secret() -> None:
    for handler in (answer(401), answer(503), raising(httpx.ConnectError("no"))):
        with pytest.raises(ConnectorError) as caught:
            client(handler).get("/x", params={"token": "t0ken"})

        told = f"{caught.value!r} {caught.value} {caught.value.hint} {caught.value.__cause__!r}"
        assert "s3cret" not in told
        assert "t0ken" not in told
    assert "s3cret" not in repr(client(answer(200)))


def test_credentials_do_not_follow_a_redirect() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"})

    with pytest.raises(TerminalError):
        client(handler).get("/x")
    assert asked == ["siem.example"]


def test_an_answer_that_is_no_json_is_final() -> None:
    with pytest.raises(TerminalError, match="not JSON"):
        client(answer(200, content=b"<html>")).get("/x").json()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("12", 12.0),
        ("99999999999999", MAX_RETRY_AFTER),
        ("Wed, 04 Mar 2026 10:00:30 GMT", 30.0),
        ("Wed, 04 Mar 2026 09:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    now = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)

    assert retry_after(value, now=now) == seconds


@given(st.text(max_size=40))
def test_retry_after_never_crashes_and_stays_in_bounds(value: str) -> None:
    seconds = retry_after(value)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER
