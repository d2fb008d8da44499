import json

import pytest

from huntonce.connectors.intel.demo_intel import demo_intel
from huntonce.connectors.intel.memory import MemoryDestination
from huntonce.models.errors import TerminalError, TransientError
from tests.contract.intel.conftest import DestinationRig, Login

pytestmark = pytest.mark.integration
TEXTS = [body.decode() for body in demo_intel()[3:9]]


@pytest.fixture(params=["memory", "taxii", "medallion"])
def rig(request: pytest.FixtureRequest) -> DestinationRig:
    if request.param == "memory":
        memory = MemoryDestination()
        fault = TransientError("away", connector="memory")
        return DestinationRig(
            memory,
            lambda: [name for name, _ in memory.held],
            lambda: MemoryDestination(fault=fault),
        )
    login: Login = request.getfixturevalue("own" if request.param == "taxii" else "medallion")
    gone = "http://127.0.0.1:9/root/collections/x/"
    return DestinationRig(
        login.destination(), login.ids, lambda: login.destination(collection_url=gone)
    )


def outcomes(rig: DestinationRig, texts: list[str]) -> list[str]:
    return [one.outcome for one in rig.destination.publish(texts)]


def test_what_is_new_is_sent_and_answered_in_order(rig: DestinationRig) -> None:
    answers = rig.destination.publish(TEXTS)

    assert [one.object_id for one in answers] == [json.loads(text)["id"] for text in TEXTS]
    assert [one.version for one in answers] == [json.loads(text)["modified"] for text in TEXTS]
    assert {one.outcome for one in answers} == {"sent"}
    assert sorted(rig.held()) == sorted(json.loads(text)["id"] for text in TEXTS)


def test_sending_again_changes_nothing_and_says_so(rig: DestinationRig) -> None:
    rig.destination.publish(TEXTS[:3])

    assert outcomes(rig, TEXTS) == ["already_present"] * 3 + ["sent"] * 3
    assert len(rig.held()) == len(TEXTS)


def test_a_new_version_is_sent_beside_the_old(rig: DestinationRig) -> None:
    rig.destination.publish(TEXTS[:1])
    newer = json.dumps({**json.loads(TEXTS[0]), "modified": "2026-09-01T00:00:00.000Z"})

    assert outcomes(rig, [newer, TEXTS[0]]) == ["sent", "already_present"]


def test_an_observable_has_no_version_and_is_sent_once(rig: DestinationRig) -> None:
    sco = json.dumps(
        {
            "type": "domain-name",
            "spec_version": "2.1",
            "id": "domain-name--3c10e93f-798e-5a26-a0c1-08156efab7f5",
            "value": "a.example",
        }
    )

    assert outcomes(rig, [sco]) == ["sent"]
    assert outcomes(rig, [sco]) == ["already_present"]


def test_what_is_no_stix_object_fails_alone(rig: DestinationRig) -> None:
    assert outcomes(rig, ["[]", TEXTS[0], "nonsense"]) == ["failed", "sent", "failed"]


def test_nothing_to_publish_is_no_answer(rig: DestinationRig) -> None:
    assert outcomes(rig, []) == []


def test_a_destination_that_cannot_be_reached_says_so(rig: DestinationRig) -> None:
    with pytest.raises(TransientError):
        rig.broken().publish(TEXTS)


def test_an_invalid_object_fails_with_the_server_s_reason(own: Login) -> None:
    bad = {key: value for key, value in json.loads(TEXTS[0]).items() if key != "created"}

    answers = own.destination().publish([TEXTS[1], json.dumps(bad)])

    assert [one.outcome for one in answers] == ["sent", "failed"]
    assert "no created" in answers[1].why


def test_a_wrong_password_is_the_person_s_to_mend(own: Login) -> None:
    with pytest.raises(TerminalError, match="401"):
        own.destination(password="wrong").publish(TEXTS)
