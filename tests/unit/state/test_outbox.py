from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from huntonce.models.errors import DomainError, StateError
from huntonce.models.outbox import Channel, Message, MessageState
from huntonce.models.state.store import Store
from tests.unit.state.examples import NOW, a_gap, a_message

STALE = 60.0


def put(store: Store, *messages: Message) -> list[bool]:
    with store.unit() as unit:
        news = [unit.outbox.put(message, at=NOW) for message in messages]
        unit.commit()
    return news


def claim(store: Store, channel: Channel | None = None, after: float = 0.0) -> Message | None:
    with store.unit() as unit:
        return unit.outbox.claim(channel, at=NOW + timedelta(seconds=after), stale_after=STALE)


def the(store: Store, key: str = "k1") -> Message:
    with store.unit() as unit:
        return next(message for message in unit.outbox.list() if message.key == key)


def test_a_message_comes_out_as_it_was_put_in(store: Store) -> None:
    put(store, a_message())

    message = the(store)

    assert message.payload == {"hosts": ["HOST1"], "n": 1}
    assert (message.state, message.attempts) == (MessageState.PENDING, 0)
    assert message.created_at == NOW


def test_the_same_key_is_written_down_once(store: Store) -> None:
    assert put(store, a_message(), a_message()) == [True, False]
    assert put(store, a_message()) == [False]


def test_a_message_put_without_commit_never_was(store: Store) -> None:
    with store.unit() as unit:
        unit.outbox.put(a_message(), at=NOW)

    assert claim(store) is None


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_a_key_that_no_desk_could_carry_is_refused(store: Store, key: str) -> None:
    with pytest.raises(DomainError):
        put(store, a_message(key))


def test_messages_are_claimed_once_oldest_first_by_channel(store: Store) -> None:
    put(store, a_message("a"), a_message("b", Channel.CASE), a_message("c"))

    claimed = [claim(store, Channel.TICKET) for _ in range(3)]

    assert [message and message.key for message in claimed] == ["a", "c", None]
    assert claimed[0] is not None
    assert (claimed[0].state, claimed[0].attempts) == (MessageState.CLAIMED, 1)
    rest = claim(store)
    assert rest is not None
    assert rest.key == "b"


def test_a_claim_stands_although_the_unit_is_left_without_commit(store: Store) -> None:
    put(store, a_message())

    claim(store)

    assert the(store).state is MessageState.CLAIMED


def test_a_claim_whose_sender_died_is_taken_over(store: Store) -> None:
    put(store, a_message())
    claim(store)

    assert claim(store, after=STALE) is None
    again = claim(store, after=STALE + 1)
    assert again is not None
    assert again.attempts == 2
    assert claim(store, after=STALE + 2) is None


def test_claiming_over_uncommitted_changes_is_refused(store: Store) -> None:
    put(store, a_message())
    with store.unit() as unit:
        unit.gaps.add(a_gap(), actor="a", why="b")
        with pytest.raises(StateError, match="uncommitted"):
            unit.outbox.claim(None, at=NOW, stale_after=STALE)


def test_what_is_sent_stays_sent(store: Store) -> None:
    put(store, a_message())
    claim(store)
    with store.unit() as unit:
        unit.outbox.done("k1", remote_id="T-1", at=NOW)
        unit.outbox.done("k1", remote_id="T-2", at=NOW)
        unit.outbox.failed("k1", error="late", again=True, at=NOW)
        unit.commit()

    message = the(store)
    assert (message.state, message.remote_id, message.error) == (MessageState.SENT, "T-1", "")
    assert message.sent_at == NOW
    assert claim(store, after=STALE * 9) is None


def test_a_failure_is_tried_again_or_kept(store: Store) -> None:
    put(store, a_message())
    claim(store)
    with store.unit() as unit:
        unit.outbox.failed("k1", error="busy", again=True, at=NOW)
        unit.commit()
    assert (the(store).state, the(store).error) == (MessageState.PENDING, "busy")

    claim(store)
    with store.unit() as unit:
        unit.outbox.failed("k1", error="no rights", again=False, at=NOW)
        unit.commit()
    assert claim(store, after=STALE * 9) is None
    with store.unit() as unit:
        assert [m.error for m in unit.outbox.list(MessageState.FAILED)] == ["no rights"]


def test_an_unknown_message_cannot_be_settled(store: Store) -> None:
    with store.unit() as unit:
        with pytest.raises(StateError):
            unit.outbox.done("nothing", remote_id="x", at=NOW)
        with pytest.raises(StateError):
            unit.outbox.failed("nothing", error="x", again=True, at=NOW)


class Senders(RuleBasedStateMachine):
    """Senders that put, claim, send, fail and die in any order, against a desk that counts."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.put_keys: set[str] = set()
        self.held: list[str] = []
        self.dead: set[str] = set()
        self.failed_keys: set[str] = set()
        self.desk: dict[str, int] = {}
        self.prefix = f"{id(self)}-{len(the_all(self.store))}-"

    @rule(number=st.integers(0, 4))
    def put(self, number: int) -> None:
        key = f"{self.prefix}{number}"
        news = put(self.store, a_message(key))
        assert news == [key not in self.put_keys]
        self.put_keys.add(key)

    @rule()
    def claim(self) -> None:
        with self.store.unit() as unit:
            message = unit.outbox.claim(None, at=self.now, stale_after=STALE)
        if message is not None:
            assert message.key not in self.held
            self.dead.discard(message.key)
            self.held.append(message.key)

    @precondition(lambda self: self.held)
    @rule(commit=st.booleans())
    def send(self, commit: bool) -> None:
        key = self.held.pop()
        self.desk.setdefault(key, len(self.desk))  # the desk looks the key up first
        with self.store.unit() as unit:
            unit.outbox.done(key, remote_id=f"T-{self.desk[key]}", at=self.now)
            if commit:
                unit.commit()
            else:
                self.dead.add(key)

    @precondition(lambda self: self.held)
    @rule(again=st.booleans())
    def fail(self, again: bool) -> None:
        key = self.held.pop()
        with self.store.unit() as unit:
            unit.outbox.failed(key, error="x", again=again, at=self.now)
            unit.commit()
        self.failed_keys |= set() if again else {key}

    @precondition(lambda self: self.held)
    @rule()
    def die(self) -> None:
        self.dead.add(self.held.pop())

    @rule()
    def wait(self) -> None:
        # Living senders report in time; only the dead go stale.
        while self.held:
            self.send(commit=True)
        self.now += timedelta(seconds=STALE + 1)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        mine = [m for m in the_all(self.store) if m.key.startswith(self.prefix)]
        assert {message.key for message in mine} == self.put_keys
        for message in mine:
            if message.state is MessageState.SENT:
                assert message.remote_id == f"T-{self.desk[message.key]}"
            if message.state is MessageState.CLAIMED:
                assert message.key in {*self.held, *self.dead}

    @override
    def teardown(self) -> None:
        """In the end, whatever was put and not given up reaches the desk."""
        self.wait()
        self.claim()
        while self.held:
            self.send(commit=True)
            self.claim()
        states = {m.key: m.state for m in the_all(self.store) if m.key.startswith(self.prefix)}
        for key in self.put_keys:
            wanted = MessageState.FAILED if key in self.failed_keys else MessageState.SENT
            assert states[key] is wanted


def the_all(store: Store) -> tuple[Message, ...]:
    with store.unit() as unit:
        return unit.outbox.list()


def test_random_interleavings_never_lose_or_double_a_message(store: Store) -> None:
    class BoundSenders(Senders):
        pass

    BoundSenders.store = store
    run_state_machine_as_test(
        BoundSenders,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
