"""What a server does wrong for good, how we log in, and what we take of a collection."""

import base64
import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from huntonce.connectors.http.tls import ClientCertificate
from huntonce.connectors.intel.selection import Selection
from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.models.errors import ConfigError, ConnectorError, TerminalError, TransientError
from huntonce.models.intel import Fault as Blame
from huntonce.models.stages.collect import collect, collect_all, failure_of
from huntonce.models.state.store import utcnow
from huntonce.models.tlp import Tlp
from tests.integration.intel.conftest import Behind, contents, fresh, upstream
from tests.support.faulty_proxy import Fault, FaultyProxy, Habit
from tests.support.medallion_peer import PASSWORD, USER

pytestmark = pytest.mark.integration
LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
ALL = sum(len(envelope) for envelope in upstream()) - 1
"""Objects that are posted and sound; one is not."""


def ids(source: TaxiiSource, cursor: str | None = None) -> list[tuple[str, str]]:
    return [(one.id, one.version) for batch in source.pull(cursor) for one in batch.objects]


@pytest.fixture(autouse=True)
def calm(behind: Behind) -> None:
    behind.proxy.reset()


# ---------------------------------------------------------------- habits


def test_without_tokens_and_with_many_objects_of_one_date_nothing_is_lost(behind: Behind) -> None:
    behind.proxy.reset(always={Habit.NO_TOKEN})

    assert len(set(ids(behind.source()))) == ALL


def test_what_cannot_be_asked_for_is_told(behind: Behind) -> None:
    behind.proxy.reset(always={Habit.NO_TOKEN, Habit.CAPS_LIMIT})

    batches = list(behind.source().pull(None))

    told = [one.reason for batch in batches for one in batch.set_aside]
    found = len({(o.id, o.version) for b in batches for o in b.objects})
    assert found == ALL or told
    assert any("some may be missing" in reason for reason in told)


def test_a_server_without_tokens_that_ignores_added_after_does_not_hold_us_for_ever(
    behind: Behind,
) -> None:
    behind.proxy.reset(always={Habit.NO_TOKEN, Habit.IGNORES_ADDED_AFTER, Habit.CAPS_LIMIT})

    with pytest.raises(TerminalError, match="does not end"):
        ids(behind.source())


def test_a_date_that_is_only_the_time_of_the_answer_is_not_believed(behind: Behind) -> None:
    honest = list(behind.source().pull(None))[-1].cursor
    before = datetime.now(UTC)
    behind.proxy.reset(always={Habit.DATES_OF_NOW})
    found = list(behind.source().pull(None))[-1].cursor
    behind.proxy.reset(always={Habit.DATES_OF_NOW, Habit.NO_MANIFEST})
    careful = list(behind.source().pull(None))[-1].cursor

    assert found == honest  # the manifest said so
    assert careful is not None
    assert datetime.fromisoformat(careful) < before + timedelta(seconds=1)


def test_dates_of_now_without_tokens_or_manifest_lose_nothing(behind: Behind) -> None:
    behind.proxy.reset(always={Habit.DATES_OF_NOW, Habit.NO_TOKEN})

    assert len(set(ids(behind.source()))) == ALL


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("fault", "blame", "words"),
    [
        (Fault.UNAUTHORIZED, Blame.QUERY, "401"),
        (Fault.FORBIDDEN, Blame.QUERY, "403"),
        (Fault.NOT_FOUND, Blame.QUERY, "404"),
        (Fault.NOT_ACCEPTABLE, Blame.QUERY, "406"),
        (Fault.BAD_REQUEST, Blame.QUERY, "400"),
        (Fault.TOO_LARGE, Blame.QUERY, "413"),
        (Fault.BUSY, Blame.SERVER, "429"),
        (Fault.ERROR, Blame.SERVER, "500"),
        (Fault.BAD_GATEWAY, Blame.SERVER, "502"),
        (Fault.UNAVAILABLE, Blame.SERVER, "503"),
        (Fault.LATE, Blame.SERVER, "in time"),
        (Fault.CLOSE, Blame.SERVER, "no connection"),
        (Fault.CUT, Blame.SERVER, "no connection"),
        (Fault.CUT_QUIETLY, Blame.SERVER, "broke off"),
        (Fault.HTML, Blame.SERVER, "not a TAXII"),
    ],
)
def test_a_fault_that_stays_says_whose_it_is(
    behind: Behind, fault: Fault, blame: Blame, words: str
) -> None:
    behind.proxy.reset(*[fault] * 12)

    with pytest.raises(ConnectorError, match=words) as caught:
        ids(behind.source())

    assert failure_of(caught.value).fault is blame
    assert PASSWORD not in str(caught.value)


def test_retry_after_is_honoured_in_both_forms_and_given_up_where_it_is_long(
    behind: Behind,
) -> None:
    waited: list[float] = []
    behind.proxy.reset(Fault.BUSY, Fault.BUSY_UNTIL)

    assert len(ids(behind.source(sleep=waited.append))) == ALL
    assert waited[0] == 1
    assert 0 <= waited[1] <= 2

    waited.clear()
    busy = httpx.MockTransport(lambda _: httpx.Response(429, headers={"Retry-After": "7200"}))
    with pytest.raises(TransientError) as caught:
        ids(behind.source(sleep=waited.append, transport=busy))
    assert (waited, caught.value.retry_after) == ([], 3600.0)


def test_too_much_at_once_is_asked_for_in_smaller_pages(behind: Behind) -> None:
    behind.proxy.reset(Fault.TOO_LARGE)

    assert len(ids(behind.source(page_size=100))) == ALL
    assert [one["limit"] for one in behind.proxy.asked[:2]] == ["100", "25"]


def test_a_source_that_is_down_does_not_keep_the_next_from_being_read(
    behind: Behind, empty_store: Path, tmp_path: Path
) -> None:
    down = TaxiiSource(
        name="down", collection_url="http://127.0.0.1:9/root/collections/x/", attempts=1
    )
    with fresh(empty_store, tmp_path) as store:
        first, second = collect_all([down, behind.source()], store.unit, utcnow)
        with store.unit() as unit:
            health = {one.feed: one for one in unit.feeds.health()}

        assert first.error is not None
        assert (second.error, second.counts.new + second.counts.updated) == (None, ALL)
        assert health["down"].state == "failing"
        assert health["down"].failure is not None
        assert health["down"].failure.fault is Blame.SERVER
        assert health["feed"].state == "ok"
        assert health["feed"].totals.objects == ALL
        assert health["feed"].cursor == second.cursor

        (again,) = collect_all([down], store.unit, utcnow)
        with store.unit() as unit:
            assert {one.feed: one.failures for one in unit.feeds.health()}["down"] == 2
        assert again.error is not None


# ---------------------------------------------------------------- logging in


def test_a_bearer_token_and_a_token_in_a_header_of_its_own(behind: Behind) -> None:
    with FaultyProxy(behind.proxy.target, login=LOGIN) as proxy:
        url = proxy.seen_through(behind.direct)
        known: dict[str, Any] = {"name": "feed", "collection_url": url, "token": "t0ken"}

        assert len(ids(TaxiiSource(**known))) == ALL
        assert proxy.headers["authorization"] == "Bearer t0ken"
        assert len(ids(TaxiiSource(**known, token_header="X-API-Key"))) == ALL
        assert proxy.headers["x-api-key"] == "t0ken"
        assert "authorization" not in proxy.headers
    assert "t0ken" not in repr(TaxiiSource(**known))
    with pytest.raises(ConfigError, match="not both"):
        TaxiiSource(**known, username="u")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server's certificate, a client's, and one of somebody else."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make certificates with")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)  # noqa: S607

    for name in ("ca", "stranger"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.pem", "-subj", f"/CN={name}", "-days", "2")  # fmt: skip
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2",
                "-extfile", "san")  # fmt: skip
    openssl("rsa", "-aes256", "-passout", "pass:s3cret", "-in", "client.key", "-out", "locked.key")
    return folder


def test_a_server_that_asks_for_our_certificate(behind: Behind, certificates: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    tls.load_verify_locations(certificates / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED

    def file(name: str) -> str:
        return str(certificates / name)

    with FaultyProxy(behind.proxy.target, tls=tls) as proxy:
        url = proxy.seen_through(behind.direct)

        def source(own: ClientCertificate | None, ca: str = "ca.pem") -> TaxiiSource:
            return behind.source(collection_url=url, verify=file(ca), certificate=own, attempts=1)

        ours = ClientCertificate(file("client.pem"), file("client.key"))
        locked = ClientCertificate(file("client.pem"), file("locked.key"), "s3cret")
        assert len(ids(source(ours))) == ALL
        assert len(ids(source(locked))) == ALL
        with pytest.raises(ConnectorError):
            ids(source(None))
        with pytest.raises(TerminalError, match="not trusted"):
            ids(source(ours, ca="stranger.pem"))
        with pytest.raises(ConfigError, match="certificates"):
            ids(source(ClientCertificate(file("client.pem"), file("stranger.key"))))
        with pytest.raises(ConfigError) as caught:
            ids(source(ClientCertificate(file("client.pem"), file("locked.key"), "wr0ng")))
        assert "wr0ng" not in str(caught.value)


# ---------------------------------------------------------------- what is taken


def test_types_are_asked_for_and_looked_at(behind: Behind) -> None:
    wanted = Selection.of(types=["attack-pattern", "campaign"])

    found = [one for batch in behind.source(wanted=wanted).pull(None) for one in batch.objects]

    assert {one.type for one in found} <= {"attack-pattern", "campaign", "marking-definition"}
    assert "attack-pattern" in {one.type for one in found}
    asked = set(behind.proxy.asked[0]["match[type]"].split(","))
    assert asked >= {"attack-pattern", "campaign", "marking-definition"}


def test_what_is_marked_tighter_than_the_ceiling_is_not_taken_in(behind: Behind) -> None:
    everything = [one for batch in behind.source().pull(None) for one in batch.objects]
    batches = list(behind.source(wanted=Selection.of(max_tlp=Tlp.GREEN)).pull(None))

    found = [one for batch in batches for one in batch.objects]
    tight = [one for one in everything if one.tlp.rank > Tlp.GREEN.rank]
    assert tight
    assert all(one.tlp.rank <= Tlp.GREEN.rank or "definition" in one.type for one in found)
    assert sum(batch.skipped for batch in batches) == len(everything) - len(found) > 0


def test_a_pull_starts_where_the_settings_say(behind: Behind) -> None:
    assert ids(behind.source(since=datetime(2099, 1, 1, tzinfo=UTC))) == []
    assert behind.proxy.asked[0]["added_after"] == "2099-01-01T00:00:00.000000Z"
    assert len(ids(behind.source(since=datetime(2001, 1, 1, tzinfo=UTC)))) == ALL


def test_other_filters_start_from_the_beginning_and_bring_what_was_left_out(
    behind: Behind, empty_store: Path, tmp_path: Path
) -> None:
    narrow = behind.source(wanted=Selection.of(types=["attack-pattern"]), overlap_seconds=0)
    with fresh(empty_store, tmp_path) as store:
        few = collect(narrow, store.unit, utcnow)
        none = collect(narrow, store.unit, utcnow)
        rest = collect(behind.source(overlap_seconds=0), store.unit, utcnow)

        assert 0 < few.counts.new < ALL
        assert none.counts.new + none.counts.updated == 0
        assert few.counts.new + rest.counts.new + rest.counts.updated == ALL
        assert len(contents(store)["intel_object"]) == ALL
