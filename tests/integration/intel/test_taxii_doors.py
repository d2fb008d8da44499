"""The door of the TAXII server: who does not come in, and who cannot keep others out."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from huntonce.connectors.intel.taxii_server import (
    CollectionSpec,
    ServerSettings,
    TaxiiServer,
    User,
    doors,
    serve,
)
from huntonce.connectors.intel.taxii_server import app as app_module
from huntonce.connectors.intel.taxii_server.app import create_app
from huntonce.connectors.intel.taxii_server.doors import Allowance
from huntonce.connectors.intel.taxii_server.settings import names_this_machine
from huntonce.models.errors import ConfigError

pytestmark = pytest.mark.integration
ID = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
TYPE = "application/taxii+json;version=2.1"
SPEC = CollectionSpec(ID, "Exchange", can_write=True)
RIGHT = ("admin", "right")


@contextmanager
def asking(folder: Path, **settings: int) -> Iterator[httpx.AsyncClient]:
    """A client of an app without a network between."""
    made = ServerSettings(
        db_url=f"sqlite:///{folder / 'taxii.db'}",
        users=(User(*RIGHT), User("other", "one")),
        collections=(SPEC,),
        **settings,
    )
    transport = httpx.ASGITransport(create_app(made), client=("192.0.2.7", 1))
    yield httpx.AsyncClient(transport=transport, base_url="http://x", headers={"Accept": TYPE})


def statuses(client: httpx.AsyncClient, *logins: tuple[str, str]) -> list[int]:
    import asyncio  # noqa: PLC0415 - only here

    async def ask() -> list[int]:
        return [(await client.get("/taxii2/", auth=login)).status_code for login in logins]

    return asyncio.run(ask())


def test_guessing_is_slowed_and_who_was_in_stays_in(tmp_path: Path) -> None:
    with asking(tmp_path, wrong_logins_a_minute=3) as client:
        assert statuses(client, RIGHT) == [200]
        guesses = [("admin", f"guess {number}") for number in range(5)]
        assert statuses(client, *guesses) == [401, 401, 401, 429, 429]
        # The guesser is not told even of a right guess; who came in before is not kept out.
        assert statuses(client, ("other", "one"), RIGHT) == [429, 200]


def test_one_user_s_flood_is_refused_and_does_not_cost_another(tmp_path: Path) -> None:
    with asking(tmp_path, requests_a_minute=4) as client:
        assert statuses(client, *[RIGHT] * 6) == [200] * 4 + [429] * 2
        assert statuses(client, ("other", "one")) == [200]


def test_an_allowance_comes_back_and_forgets_strangers() -> None:
    now = 0.0
    allowance = Allowance(2, 5, clock=lambda: now)
    for _ in range(2):
        assert allowance.left("a") == 0
        allowance.take("a")
    assert allowance.left("a") == 60
    assert allowance.left("b") == 0
    for name in "bcd":
        allowance.take(name)
    assert allowance.left("e") == 60, "all together"
    now = 60.0
    assert allowance.left("a") == 0
    for number in range(doors._REMEMBERED + 10):
        allowance.take(str(number))
    assert len(allowance._counts) == doors._REMEMBERED


def test_a_request_that_never_comes_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(app_module, "BODY_SECONDS", 0.3)
    with TaxiiServer(users=[User(*RIGHT)], collections=[SPEC]) as server:
        host, port = "127.0.0.1", server.port
        with socket.create_connection((host, port), 10) as slow, httpx.Client() as other:
            slow.sendall(b"GET /taxii2/ HTTP/1.1\r\nHost: localhost\r\nX: ")
            for _ in range(3):  # dripping does not help
                slow.sendall(b"a")
                time.sleep(0.05)
            assert slow.recv(100) == b"", "closed without an answer"
            answer = other.get(server.discovery_url, auth=RIGHT, headers={"Accept": TYPE})
            assert answer.status_code == 200
        with socket.create_connection((host, port), 10) as slow:
            slow.sendall(
                f"POST /root/collections/{ID}/objects/ HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Basic YWRtaW46cmlnaHQ=\r\nAccept: {TYPE}\r\n"
                f"Content-Type: {TYPE}\r\nContent-Length: 100\r\n\r\n{{".encode()
            )
            assert slow.recv(100).startswith(b"HTTP/1.1 408")


def test_connections_beyond_the_limit_are_told_and_the_server_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huntonce.connectors.intel.taxii_server import server as module  # noqa: PLC0415

    monkeypatch.setattr(module, "MOST_CONNECTIONS", 5)
    monkeypatch.setattr(doors, "REQUEST_SECONDS", 1.0)
    with TaxiiServer(users=[User(*RIGHT)], collections=[SPEC]) as server:
        idle = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(8)]
        refused = httpx.get(server.discovery_url, auth=RIGHT, headers={"Accept": TYPE})
        assert refused.status_code == 503
        for one in idle:
            one.settimeout(10)
            assert one.recv(10) == b""
            one.close()
        answer = httpx.get(server.discovery_url, auth=RIGHT, headers={"Accept": TYPE})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:6100", True),
        ("localhost", True),
        ("[::1]:80", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example#127.0.0.1", False),
        ("[::1", False),
        ("", False),
        (None, False),
    ],
)
def test_a_page_that_has_its_name_lead_here_is_not_served(host: str | None, *, ours: bool) -> None:
    assert names_this_machine(host) is ours


def test_without_a_login_only_this_machine_s_names_are_answered() -> None:
    with TaxiiServer(collections=[SPEC]) as server:
        asked = httpx.get(server.discovery_url, headers={"Accept": TYPE})
        lured = httpx.get(server.discovery_url, headers={"Accept": TYPE, "Host": "evil.example"})
    assert (asked.status_code, lured.status_code) == (200, 403)


def test_a_certificate_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    settings = ServerSettings(
        db_url=f"sqlite:///{tmp_path / 'taxii.db'}",
        users=(User(*RIGHT),),
        tls_certificate=str(tmp_path / "x.pem"),
    )

    with pytest.raises(ConfigError, match="certificate"):
        serve(settings)
