"""Dispatch: send what the outbox holds, each thing once, and record what became of it.

A sender that dies between the remote write and the record is followed by another, which finds
the remote object by its key and records it: no duplicate, no loss.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from huntonce.models.detection import GONE, OFF, ON, THERE, Deployment
from huntonce.models.errors import ConnectorError, HuntonceError, TransientError
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message, MessageState
from huntonce.models.stages.kit import Kit

STALE_AFTER = 300.0
"""Seconds after which a claimed message is taken from its sender."""
MAX_ATTEMPTS = 5

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """What became of the messages: keys sent, and (key, why) failed."""

    sent: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def dispatch(kit: Kit, channel: Channel | None = None) -> Dispatched:
    """Send every waiting message of a channel (or of tickets, cases and detections)."""
    channels = (channel,) if channel else (Channel.TICKET, Channel.CASE, Channel.DETECTION)
    sent: list[str] = []
    failed: list[tuple[str, str]] = []
    for one in channels:
        while (message := _claim(kit, one)) is not None:
            newer = _overtaken(kit, message)
            if newer is not None:
                with kit.open_unit() as unit:
                    unit.outbox.done(message.key, remote_id=newer.remote_id, at=kit.clock())
                    unit.commit()
                continue
            try:
                remote_id = _SENDERS[one](kit, message)
            except HuntonceError as error:
                failed.append((message.key, str(error)))
                if _waits(kit, message, error):
                    break  # the other side is in trouble: the rest of the channel waits too
            else:
                _done(kit, message, remote_id)
                sent.append(message.key)
    return Dispatched(sent=tuple(sent), failed=tuple(failed))


def enqueue(unit: UnitOfWork, message: Message, *, at: datetime) -> None:
    """Write down what is to leave; what failed for good earlier waits to be sent again."""
    if unit.outbox.put(message, at=at):
        return
    if any(failed.key == message.key for failed in unit.outbox.list(MessageState.FAILED)):
        unit.outbox.failed(message.key, error="", again=True, at=at)


def _claim(kit: Kit, channel: Channel) -> Message | None:
    with kit.open_unit() as unit:
        return unit.outbox.claim(channel, at=kit.clock(), stale_after=STALE_AFTER)


def _overtaken(kit: Kit, message: Message) -> Message | None:
    """What has left later for the same rule and store, where a sender died with this message.

    It is not sent once more: that would bring the older content back.
    """
    tried = message.attempts > 1 or message.error
    if message.channel is not Channel.DETECTION or not tried:
        return None
    with kit.open_unit() as unit:
        listed = [
            one
            for one in unit.outbox.list()
            if one.channel is message.channel
            and (one.target, one.subject) == (message.target, message.subject)
        ]
    at = [one.key for one in listed].index(message.key)
    later = [one for one in listed[at + 1 :] if one.state is MessageState.SENT]
    return later[-1] if later else None


def _waits(kit: Kit, message: Message, error: HuntonceError) -> bool:
    """Record a failure; whether the message waits to be tried again."""
    _LOG.warning("outbox: %s to %s failed: %s", message.key, message.target, error)
    again = isinstance(error, TransientError) and message.attempts < MAX_ATTEMPTS
    with kit.open_unit() as unit:
        unit.outbox.failed(message.key, error=str(error), again=again, at=kit.clock())
        unit.commit()
    return again


def _done(kit: Kit, message: Message, remote_id: str) -> None:
    now = kit.clock()
    with kit.open_unit() as unit:
        unit.outbox.done(message.key, remote_id=remote_id, at=now)
        _RECORDERS[message.channel](unit, kit, message, remote_id, now)
        unit.commit()


def _send_ticket(kit: Kit, message: Message) -> str:
    desk = kit.tickets
    if desk.name != message.target:
        raise ConnectorError(f"no ticket desk named {message.target!r}", connector=message.target)
    if message.action == "close":
        desk.close(str(message.payload["remote_id"]), str(message.payload["comment"]))
        return str(message.payload["remote_id"])
    if message.action == "reopen":
        desk.reopen(str(message.payload["remote_id"]), str(message.payload["comment"]))
        return str(message.payload["remote_id"])
    return desk.find(message.key) or desk.create(message.key, message.payload)


def _send_case(kit: Kit, message: Message) -> str:
    desk = kit.cases
    if desk.name != message.target:
        raise ConnectorError(f"no case desk named {message.target!r}", connector=message.target)
    return desk.find(message.key) or desk.create(message.key, message.payload)


def _send_detection(kit: Kit, message: Message) -> str:
    if message.target == kit.rules.name:
        store = kit.rules
    elif message.target in kit.targets:
        store = kit.targets[message.target]
    else:
        raise ConnectorError(f"no rule store named {message.target!r}", connector=message.target)
    if message.action == "retire":
        remote_id = str(message.payload["remote_id"])
        if store is kit.rules or store.find(remote_id) is not None:
            store.retire(remote_id)
        return remote_id
    return store.deploy(str(message.payload["rule_id"]), message.payload)


def _record_ticket(
    unit: UnitOfWork, kit: Kit, message: Message, remote_id: str, _now: datetime
) -> None:
    gap = unit.gaps.get(message.subject)
    if gap is not None and gap.ticket != remote_id:
        why = f"ticket {remote_id} at {message.target}"
        unit.gaps.save(replace(gap, ticket=remote_id), actor=kit.actor, why=why)


def _record_case(
    unit: UnitOfWork, kit: Kit, message: Message, remote_id: str, _now: datetime
) -> None:
    case = unit.cases.get(message.subject)
    if case is not None and case.remote_id != remote_id:
        why = f"case {remote_id} at {message.target}"
        unit.cases.save(replace(case, remote_id=remote_id), actor=kit.actor, why=why)


def _record_detection(
    unit: UnitOfWork, kit: Kit, message: Message, remote_id: str, _now: datetime
) -> None:
    detection = unit.detections.get(message.subject)
    if detection is None:
        return
    others = tuple(d for d in detection.deployments if d.siem != message.target)
    state = GONE if message.action == "retire" else ON
    if state == ON and message.target != kit.rules.name:
        # The switch on a SIEM is its operators': as last seen, and off where it is new.
        before = {d.siem: d.observed for d in detection.deployments}.get(message.target)
        state = before if before in THERE else OFF
    here = Deployment(siem=message.target, desired=state, observed=state, remote_id=remote_id)
    healthy = detection.healthy if detection.healthy is not None or state != ON else True
    unit.detections.save(
        replace(detection, deployments=(*others, here), healthy=healthy),
        actor=kit.actor,
        why=f"{state} at {message.target}",
    )


_Sender = Callable[[Kit, Message], str]
_SENDERS: Mapping[Channel, _Sender] = {
    Channel.TICKET: _send_ticket,
    Channel.CASE: _send_case,
    Channel.DETECTION: _send_detection,
}
_Recorder = Callable[[UnitOfWork, Kit, Message, str, datetime], None]
_RECORDERS: Mapping[Channel, _Recorder] = {
    Channel.TICKET: _record_ticket,
    Channel.CASE: _record_case,
    Channel.DETECTION: _record_detection,
}
