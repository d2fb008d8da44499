"""A conversation over TLS with our own TAXII server, started as an operator starts it."""

import ipaddress
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from huntonce.connectors.intel.demo_intel import demo_intel
from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.connectors.intel.taxii_publish import TaxiiDestination
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer
from huntonce.flows.exchange import INTEL_COLLECTION
from huntonce.models.errors import DomainError, TerminalError, TransientError

pytestmark = pytest.mark.integration
USER, PASSWORD = "partner", "over TLS only"
TEXTS = [body.decode() for body in demo_intel()[3:]]
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Served:
    """A server that speaks TLS; ``ca`` is what has to be trusted, ``stranger`` another's CA."""

    port: int
    ca: Path
    stranger: Path

    def at(self, host: str = "127.0.0.1", scheme: str = "https", **more: Any) -> dict[str, Any]:
        return {
            "name": "peers",
            "collection_url": f"{scheme}://{host}:{self.port}/root/collections/{INTEL_COLLECTION}/",
            "username": USER,
            "password": PASSWORD,
            "verify": str(self.ca),
            **more,
        }


def certificate(folder: Path, name: str) -> Path:
    """A certificate that signs itself, for 127.0.0.1 only, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("tls") / "home"
    home.mkdir(mode=0o700)
    ours, stranger = certificate(home, "ours"), certificate(home, "stranger")
    settings = home / "huntonce.toml"
    settings.touch(mode=0o600)
    settings.write_text(
        f'[taxii]\nport = 0\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
        'certificate = "ours.pem"\nkey = "ours.key"\n'
    )
    words = [sys.executable, "-m", "huntonce.cli", "taxii", "serve", "--home", str(home)]
    with subprocess.Popen(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    ) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            found = re.search(r"https://127\.0\.0\.1:(\d+)/taxii2/", told)
            assert found, told
            yield Served(int(found[1]), ours, stranger)
        finally:
            process.terminate()
            process.wait(20)


def test_what_is_published_over_tls_is_pulled_over_tls(served: Served) -> None:
    answers = TaxiiDestination(**served.at()).publish(TEXTS)
    again = TaxiiDestination(**served.at()).publish(TEXTS)
    pulled = TaxiiSource(**served.at()).pull()

    assert {one.outcome for one in answers} == {"sent"}
    assert {one.outcome for one in again} == {"already_present"}
    assert len({one.id for batch in pulled for one in batch.objects}) == len(TEXTS)


def refusal(given: dict[str, Any]) -> DomainError:
    """What a publisher is told; a puller is told the same."""
    with pytest.raises((TerminalError, TransientError)) as caught:
        TaxiiDestination(**given, sleep=lambda _: None).publish(TEXTS[:1])
    with pytest.raises((TerminalError, TransientError)) as pulling:
        list(TaxiiSource(**given, sleep=lambda _: None).pull())
    assert (type(pulling.value), pulling.value.hint) == (type(caught.value), caught.value.hint)
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"
    return caught.value


@pytest.mark.parametrize("trusted", ["stranger", "the system's"])
def test_a_certificate_that_is_not_trusted_is_refused_for_good(
    served: Served, trusted: str
) -> None:
    refused = refusal(served.at(verify=str(served.stranger) if trusted == "stranger" else True))

    assert isinstance(refused, TerminalError)
    assert "certificate is not trusted" in str(refused)
    assert "CA" in refused.hint


def test_a_certificate_of_another_name_is_refused(served: Served) -> None:
    refused = refusal(served.at(host="localhost"))

    assert isinstance(refused, TerminalError)
    assert "certificate is not trusted" in str(refused)


def test_a_wrong_password_is_told_over_tls_too(served: Served) -> None:
    refused = refusal(served.at(password="guessed"))

    assert isinstance(refused, TerminalError)
    assert "401" in str(refused)


def test_http_to_the_tls_port_is_told(served: Served) -> None:
    refused = refusal(served.at(scheme="http"))

    assert "https://" in refused.hint


def test_tls_to_a_port_that_speaks_plain_http_is_told() -> None:
    spec = CollectionSpec(INTEL_COLLECTION, "Intel", can_write=True)
    with TaxiiServer(collections=[spec]) as server:
        refused = refusal(
            {
                "name": "peers",
                "collection_url": server.collection_url(spec.id).replace("http:", "https:"),
            }
        )

    assert "http://" in refused.hint
