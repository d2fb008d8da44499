"""What leaves arrives once, whatever fails on the way."""

from pathlib import Path

import pytest

from huntonce.models.errors import StateError
from huntonce.models.outbox import Channel, Message, MessageState
from huntonce.models.stages.dispatch import MAX_ATTEMPTS, STALE_AFTER, dispatch, enqueue
from huntonce.models.stages.operate import carry_out, default_window, find_target
from tests.support.kits import Bench, bench, intrusion, quiet_day


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    return bench(tmp_path, [*quiet_day(), *intrusion()])


def hunt(made: Bench) -> None:
    made.clock.pass_by(minutes=1)
    target = find_target(made.kit, "T1053.005")
    carry_out(made.kit, target, default_window(made.kit))


def states(made: Bench, channel: Channel = Channel.TICKET) -> list[MessageState]:
    with made.unit() as unit:
        return [m.state for m in unit.outbox.list() if m.channel is channel]


def settled_state(made: Bench) -> tuple[object, ...]:
    """What the store and the desks agree on in the end, ids of runs aside."""
    with made.unit() as unit:
        return (
            sorted((g.key, g.ticket) for g in unit.gaps.list()),
            sorted((c.key, c.remote_id) for c in unit.cases.list()),
            sorted((d.key, d.deployments) for d in unit.detections.list()),
            sorted(t.key for t in made.tickets.list()),
            sorted(c.key for c in made.cases.list()),
            sorted(made.rules.live),
        )


SENT, PENDING, FAILED = MessageState.SENT, MessageState.PENDING, MessageState.FAILED


def test_a_desk_that_is_down_is_tried_again_and_the_rest_of_its_channel_waits(made: Bench) -> None:
    made.tickets.fail_before = 1

    hunt(made)

    assert states(made) == [PENDING, PENDING]
    assert states(made, Channel.CASE) == [SENT]
    assert dispatch(made.kit).failed == ()
    assert states(made) == [SENT, SENT]
    assert len(made.tickets.list()) == 2


def test_an_answer_that_was_lost_makes_no_second_ticket_case_or_rule(
    made: Bench, tmp_path: Path
) -> None:
    made.tickets.fail_after = made.cases.fail_after = made.rules.fail_after = 1

    hunt(made)
    dispatch(made.kit)

    sound = bench(tmp_path / "sound", [*quiet_day(), *intrusion()])
    hunt(sound)
    assert settled_state(made) == settled_state(sound)


def test_a_sender_that_died_after_the_write_is_followed_by_another(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huntonce.models.stages import dispatch as module  # noqa: PLC0415 - to be broken

    def die(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(module, "_done", die)
        with pytest.raises(KeyboardInterrupt):
            hunt(made)
    assert len(made.tickets.list()) == 1
    assert MessageState.CLAIMED in states(made)

    dispatch(made.kit)
    assert MessageState.CLAIMED in states(made)
    made.clock.pass_by(seconds=STALE_AFTER + 1)
    dispatch(made.kit)

    assert states(made) == [SENT, SENT]
    assert len(made.tickets.list()) == 2
    with made.unit() as unit:
        assert all(gap.ticket for gap in unit.gaps.list())


def test_a_desk_that_refuses_fails_for_good_and_others_go_on(made: Bench) -> None:
    made.tickets.refuse = "no such project"

    hunt(made)

    assert states(made) == [FAILED, FAILED]
    assert states(made, Channel.DETECTION) == [SENT]
    with made.unit() as unit:
        assert "no such project" in unit.outbox.list()[0].error


def test_what_failed_for_good_is_sent_after_the_next_hunt(made: Bench) -> None:
    made.tickets.refuse = "no such project"
    hunt(made)
    made.tickets.refuse = ""
    dispatch(made.kit)
    assert states(made) == [FAILED, FAILED]

    hunt(made)

    assert states(made) == [SENT, SENT]
    assert len(made.tickets.list()) == 2


def test_trying_ends_after_so_many_times(made: Bench) -> None:
    made.tickets.fail_before = MAX_ATTEMPTS
    hunt(made)

    for _ in range(MAX_ATTEMPTS):
        made.clock.pass_by(minutes=1)
        dispatch(made.kit)

    assert states(made) == [FAILED, SENT]


def test_a_desk_in_trouble_for_a_moment_uses_no_tries_up(made: Bench) -> None:
    made.tickets.fail_before = 2 * MAX_ATTEMPTS
    hunt(made)

    for _ in range(2 * MAX_ATTEMPTS):  # a loop sends what waits after each of its hunts
        made.clock.pass_by(seconds=5)
        dispatch(made.kit)

    assert states(made) == [SENT, SENT]


def test_a_message_for_a_desk_that_is_not_there_fails_with_its_name(made: Bench) -> None:
    message = Message(
        key="k", channel=Channel.TICKET, action="create", target="jira", subject="GAP-1", payload={}
    )
    with made.unit() as unit:
        enqueue(unit, message, at=made.clock())
        unit.commit()

    ((key, why),) = dispatch(made.kit).failed

    assert key == "k"
    assert "'jira'" in why


def test_a_message_is_written_down_once(made: Bench) -> None:
    message = Message(
        key="k", channel=Channel.TICKET, action="create", target="memory", subject="", payload={}
    )
    for _ in range(2):
        with made.unit() as unit:
            enqueue(unit, message, at=made.clock())
            unit.commit()

    assert dispatch(made.kit).sent == ("k",)
    assert dispatch(made.kit).sent == ()


def test_a_store_that_fails_while_recording_loses_nothing(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huntonce.models.stages import dispatch as module  # noqa: PLC0415 - to be broken

    def full(*_args: object) -> None:
        raise StateError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(module, "_done", full)
        with pytest.raises(StateError):
            hunt(made)

    made.clock.pass_by(seconds=STALE_AFTER + 1)
    dispatch(made.kit)
    assert states(made) == [SENT, SENT]
    assert len(made.tickets.list()) == 2
