from collections.abc import Callable

import orjson
import pytest

from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.memory import MemorySource
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.intake import IntelBatch, IntelSource
from tests.contract.intel.conftest import COLLECTION, Login, SourceRig

pytestmark = pytest.mark.integration


@pytest.fixture(params=["memory", "taxii", "medallion"])
def rig(request: pytest.FixtureRequest) -> SourceRig:
    if request.param == "memory":
        memory = MemorySource(page_size=3)
        fault = TransientError("away", connector="memory")
        return SourceRig(
            memory,
            memory.bodies.extend,
            lambda: MemorySource(fault=fault, fail_at_page=1),
        )
    if request.param == "taxii":
        login: Login = request.getfixturevalue("own")
        server = request.getfixturevalue("server")

        def seed(bodies: list[bytes]) -> None:
            server.seed(COLLECTION, bodies)

        return SourceRig(login.source(overlap_seconds=0), seed, _unreachable(login))
    login = request.getfixturevalue("medallion")
    return SourceRig(login.source(overlap_seconds=0), login.post, _unreachable(login))


def _unreachable(login: Login) -> Callable[[], IntelSource]:
    return lambda: login.source(collection_url="http://127.0.0.1:9/root/collections/x/")


def ids(batches: list[IntelBatch]) -> list[str]:
    return [one.id for batch in batches for one in batch.objects]


def id_of(body: bytes) -> str:
    return str(orjson.loads(body)["id"])


def test_a_pull_brings_everything_in_pages_and_the_cursor_comes_last(rig: SourceRig) -> None:
    rig.add(list(demo_intel()[3:11]))

    batches = list(rig.source.pull(None))

    assert set(ids(batches)) == {id_of(body) for body in demo_intel()[3:11]}
    assert len(batches) >= 3
    assert [batch.cursor is not None for batch in batches] == [False] * (len(batches) - 1) + [True]


def test_the_next_pull_brings_only_what_came_after(rig: SourceRig) -> None:
    rig.add(list(demo_intel()[3:8]))
    cursor = list(rig.source.pull(None))[-1].cursor
    rig.add(list(demo_intel()[8:12]))

    batches = list(rig.source.pull(cursor))

    assert set(ids(batches)) >= {id_of(body) for body in demo_intel()[8:12]}
    assert ids(list(rig.source.pull(batches[-1].cursor))) == []


def test_a_pull_of_nothing_is_one_empty_batch_and_keeps_the_cursor(rig: SourceRig) -> None:
    (empty,) = rig.source.pull(None)
    assert (list(empty.objects), list(empty.set_aside)) == ([], [])

    rig.add(list(demo_intel()[3:5]))
    cursor = list(rig.source.pull(None))[-1].cursor

    assert [batch.cursor for batch in rig.source.pull(cursor)] == [cursor]


def test_a_faulty_object_is_set_aside_and_the_rest_arrives(rig: SourceRig) -> None:
    rig.add([demo_intel()[3], faulty_intel(), demo_intel()[4]])

    batches = list(rig.source.pull(None))

    refused = [one for batch in batches for one in batch.set_aside]
    assert [one.reason for one in refused] == ["has no valid_from"]
    assert id_of(faulty_intel()) in refused[0].place
    assert len(ids(batches)) == 2


def test_every_version_of_an_object_arrives(rig: SourceRig) -> None:
    first = orjson.loads(demo_intel()[4])
    second = {**first, "modified": "2026-05-01T00:00:00.000Z", "revoked": True}
    rig.add([orjson.dumps(first)])
    rig.add([orjson.dumps(second)])

    found = [one for batch in rig.source.pull(None) for one in batch.objects]

    assert sorted(one.version for one in found) == [first["modified"], second["modified"]]
    assert {one.version: one.revoked for one in found}[second["modified"]]


def test_a_source_that_cannot_be_reached_says_so(rig: SourceRig) -> None:
    with pytest.raises(TransientError):
        list(rig.broken().pull(None))


def test_a_wrong_password_is_the_person_s_to_mend(own: Login, medallion: Login) -> None:
    for login in (own, medallion):
        with pytest.raises(TerminalError, match="401") as caught:
            list(login.source(password="wrong-pass").pull(None))
        assert "password" in caught.value.hint
        assert "wrong-pass" not in str(caught.value)
