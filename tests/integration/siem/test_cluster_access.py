"""How a cluster is reached: whom we trust, who we say we are, and how often we ask.

https://docs.opensearch.org/2.19/security/authentication-backends/basic-authc/
https://docs.opensearch.org/2.19/security/authentication-backends/client-auth/
"""

import base64
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.siem import pacing
from huntonce.connectors.siem.opensearch.cluster import Cluster
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.models.errors import HuntonceError, TerminalError

ANSWER = {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": []}}


@dataclass(frozen=True)
class Papers:
    """Certificates and keys (PEM): an authority, the server's, ours."""

    ca: Path
    server: Path
    client: Path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl here")

    def openssl(*words: str) -> None:
        done = subprocess.run([program, *words], cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA")
    for name in ("server", "client"):
        alt = ("-addext", "subjectAltName=IP:127.0.0.1")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-subj", f"/CN={name}")
        usage = ("-addext", "basicConstraints=critical,CA:FALSE")
        out = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
        openssl("req", "-x509", *new, *signed, *alt, *usage, *out)
        both = folder / f"{name}.pem"
        both.write_bytes(b"".join((folder / f"{name}.{x}").read_bytes() for x in ("crt", "key")))
    return Papers(folder / "ca.pem", folder / "server.pem", folder / "client.pem")


@pytest.fixture
def tls_server(papers: Papers, request: pytest.FixtureRequest) -> Iterator[HTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.server)
    if getattr(request, "param", "") == "both":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(papers.ca)
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        server.expect_request("/a/_search", method="POST").respond_with_json(ANSWER)
        yield server


def search(url: str, **more: Any) -> dict[str, Any]:
    with closing(Cluster("c", OpenSearchSettings(url=url.rstrip("/"), **more))) as cluster:
        return cluster.search("a", {"size": 0})


def test_a_cluster_whose_authority_is_named_is_trusted(
    tls_server: HTTPServer, papers: Papers
) -> None:
    assert search(tls_server.url_for(""), ca=papers.ca) == ANSWER


def test_a_cluster_that_nobody_vouches_for_is_told_nothing(tls_server: HTTPServer) -> None:
    with pytest.raises(TerminalError, match="not trusted") as caught:
        search(tls_server.url_for(""), username="u", password="hush")

    assert "ca" in caught.value.hint
    assert "hush" not in str(caught.value)
    assert tls_server.log == []


def test_a_certificate_of_another_name_is_not_trusted(
    tls_server: HTTPServer, papers: Papers
) -> None:
    with pytest.raises(TerminalError, match="not trusted"):
        search(tls_server.url_for("").replace("127.0.0.1", "localhost"), ca=papers.ca)


@pytest.mark.parametrize("tls_server", ["both"], indirect=True)
def test_our_certificate_is_shown_where_the_cluster_wants_one(
    tls_server: HTTPServer, papers: Papers
) -> None:
    url = tls_server.url_for("")

    assert search(url, ca=papers.ca, certificate=papers.client) == ANSWER
    with pytest.raises(HuntonceError):
        search(url, ca=papers.ca)
    assert len(tls_server.log) == 1


def test_a_certificate_file_that_is_none_is_a_fault_of_ours(
    tls_server: HTTPServer, tmp_path: Path
) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")

    with pytest.raises(TerminalError):
        search(tls_server.url_for(""), ca=broken)


def test_user_and_password_go_along_with_every_request(httpserver: HTTPServer) -> None:
    word = base64.b64encode("hünter:p:ss".encode()).decode()
    httpserver.expect_request(
        "/a/_search", method="POST", headers={"Authorization": f"Basic {word}"}
    ).respond_with_json(ANSWER)

    assert search(httpserver.url_for(""), username="hünter", password="p:ss") == ANSWER


def test_a_wrong_password_says_what_to_check_and_shows_none(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a/_search").respond_with_data("Unauthorized", status=401)

    with pytest.raises(TerminalError, match="401") as caught:
        search(httpserver.url_for(""), username="u", password="hush")

    assert "password" in caught.value.hint
    assert "hush" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("more", [{"username": "u", "password": "hush"}, {"api_key": "hush"}])
def test_a_secret_is_not_sent_in_the_clear(more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="https only") as caught:
        OpenSearchSettings(url="http://search.example.org:9200", **more)

    assert "hush" not in str(caught.value)


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.starts: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.starts.append(self.now + seconds)


def test_requests_keep_the_agreed_distance_over_all_threads(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    httpserver.expect_request("/a/_search").respond_with_json(ANSWER)
    settings = OpenSearchSettings(url=httpserver.url_for("").rstrip("/"), requests_a_second=4)

    with closing(Cluster("c", settings)) as cluster, ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: cluster.search("a", {"size": 0}), range(6)))

    assert sorted(clock.starts) == [100.0, 100.25, 100.5, 100.75, 101.0, 101.25]
    assert len(httpserver.log) == 6


def test_time_that_was_not_used_is_not_made_up_for(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    httpserver.expect_request("/a/_search").respond_with_json(ANSWER)
    settings = OpenSearchSettings(url=httpserver.url_for("").rstrip("/"), requests_a_second=4)

    with closing(Cluster("c", settings)) as cluster:
        for clock.now in (100.0, 110.0, 110.0):
            cluster.search("a", {"size": 0})

    assert clock.starts == [100.0, 110.0, 110.25]
