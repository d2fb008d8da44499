"""Rollback: the content that a detection had before, brought back to every store that has it.

What was ever sent to the store of rules is in the outbox, with its proof and its kept events: that
is the history. Record and messages change in one transaction; killed before it, nothing happened,
and after it the outbox sends. The same command once more finishes what is on its way first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import partial
from typing import Any

import yaml

from huntonce.models.detecting import canonical_sha256, set_aside, with_status
from huntonce.models.detection import (
    LADDER,
    ON_DUTY,
    Certificate,
    Detection,
    DetectionState,
    Fixture,
)
from huntonce.models.errors import DomainError
from huntonce.models.finding import EventRef
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message, MessageState
from huntonce.models.proposal import WAITING
from huntonce.models.sealing import broken, filters_sha256
from huntonce.models.stages.certify import find
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import ordered_message, send_rule

_MARK = "-rollback"
"""End of the key of a message that brings former content back."""
_ON_ITS_WAY = {MessageState.PENDING, MessageState.CLAIMED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Content that a detection had in the store of rules.

    Attributes:
        number: From 1, in the order in which contents were first sent.
        content: Hash of rule and filters, whatever their layout, status and proof.
        sent_at: When it was last sent.
        payload: As it was last sent.
    """

    number: int
    content: tuple[str, str]
    sent_at: datetime | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Every version, and which of them are there.

    Attributes:
        current: Number of the one that the record holds; None where that was never sent.
        former: Number of the one that was deployed before it; None where there is none.
    """

    versions: tuple[Version, ...]
    current: int | None
    former: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a rollback did.

    Attributes:
        number: The version that the detection has now.
        finished: Nothing was changed: a rollback that was cut off goes on.
    """

    detection: Detection
    number: int
    finished: bool = False


def history_of(unit: UnitOfWork, kit: Kit, detection: Detection) -> History:
    """The contents that the store of rules had of a detection, by what was sent there."""
    versions: dict[tuple[str, str], Version] = {}
    stack: list[tuple[str, str]] = []
    for message in unit.outbox.list(MessageState.SENT):
        if not _deploys(message, detection) or message.target != kit.rules.name:
            continue
        content = _content(str(message.payload["rule"]), _texts(message.payload["filters"]))
        known = versions.get(content)
        versions[content] = Version(
            number=known.number if known else len(versions) + 1,
            content=content,
            sent_at=message.sent_at,
            payload=message.payload,
        )
        if message.key.endswith(_MARK) and content in stack:
            del stack[stack.index(content) + 1 :]  # what came after it was taken back
        elif not stack or stack[-1] != content:
            stack.append(content)
    now = _content(detection.rule, detection.filters)
    before = stack[: len(stack) - stack[::-1].index(now) - 1] if now in stack else stack
    return History(
        versions=tuple(versions.values()),
        current=versions[now].number if now in versions else None,
        former=versions[before[-1]].number if before else None,
    )


def roll_back(kit: Kit, name: str, *, to: int | None = None, reason: str = "") -> RolledBack:
    """Give a detection the content that was deployed before, or a version by its number.

    Its proof and its kept events come back with it; the status falls as far as that proof carries.
    The stores get it by the leave that the policy asks for; a rule that operators switched off
    stays off. A hunt does not bring back what was taken out here.

    Raises:
        DomainError: There is no such detection or version, it is not on duty, or the proof of the
            version is not there.
    """
    with kit.open_unit() as unit:
        detection = find(unit, name)
        if detection.state not in ON_DUTY:
            raise DomainError(
                f"{detection.id} is {detection.state.value}, which is not deployed",
                hint=f"huntonce detections certify {detection.id}",
            )
        told = history_of(unit, kit, detection)
        waiting = _on_its_way(unit, detection)
        if waiting is not None and to in {None, told.current}:
            return RolledBack(detection=detection, number=_number(told, waiting), finished=True)
        wanted = _wanted(detection, told, to)
        back = _restored(unit, kit, detection, wanted)
        now = kit.clock()
        saved = unit.detections.save(
            back,
            actor=kit.actor,
            why=f"rolled back from version {told.current or 'that was never sent'}"
            f" to version {wanted.number}: {reason.strip() or 'no reason given'}",
            logged=True,
        )
        send_rule(
            unit,
            kit,
            saved,
            partial(_message, unit, now=now),
            what=f"roll back to version {wanted.number} of",
            now=now,
            ordered=True,
        )
        unit.commit()
    return RolledBack(detection=saved, number=wanted.number)


def _message(unit: UnitOfWork, detection: Detection, target: str, *, now: datetime) -> Message:
    message = ordered_message(unit, detection, target, overwrite=False, now=now)
    return replace(message, key=message.key + _MARK)


def _deploys(message: Message, detection: Detection) -> bool:
    ours = message.channel is Channel.DETECTION and message.action == "deploy"
    return ours and message.subject == detection.id


def _on_its_way(unit: UnitOfWork, detection: Detection) -> Mapping[str, Any] | None:
    """The content of a rollback that has not arrived everywhere; of a proposal, the record's."""
    for message in unit.outbox.list(*_ON_ITS_WAY):
        if _deploys(message, detection) and message.key.endswith(_MARK):
            return message.payload
    for proposal in unit.proposals.list(*WAITING):
        if proposal.subject == detection.id and proposal.evidence.endswith(_MARK):
            return {"rule": detection.rule, "filters": list(detection.filters)}
    return None


def _number(told: History, payload: Mapping[str, Any]) -> int:
    content = _content(str(payload["rule"]), _texts(payload["filters"]))
    return next((v.number for v in told.versions if v.content == content), 0)


def _wanted(detection: Detection, told: History, to: int | None) -> Version:
    listed = f"huntonce detections rollback {detection.id} --list shows its versions"
    if to is None and told.former is None:
        raise DomainError(
            f"{detection.id} has no former version: nothing else was deployed before", hint=listed
        )
    number = told.former if to is None else to
    if number == told.current:
        raise DomainError(
            f"{detection.id} is at version {number} already",
            hint=f"huntonce detections deploy {detection.id} --restore sends it again",
        )
    found = [version for version in told.versions if version.number == number]
    if not found:
        raise DomainError(f"{detection.id} has no version {number}", hint=listed)
    return found[0]


def _restored(unit: UnitOfWork, kit: Kit, detection: Detection, version: Version) -> Detection:
    """The detection with the content of a version, its proof and its kept events stored."""
    payload = version.payload
    kept = {f.ref.uid: f for f in unit.proofs.fixtures(detection.rule_id)}
    try:
        certificate = _certificate(payload["certificate"])
        fixtures = [_fixture(one, kept) for one in payload["fixtures"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DomainError(
            f"the proof of version {version.number} cannot be read back: {error}",
            hint="adopt the rule's former text instead: huntonce detections drift --adopt",
        ) from error
    rule = str(payload["rule"])
    document = yaml.safe_load(rule)
    lowest = max(LADDER.index(certificate.allows), LADDER.index(DetectionState.EXPERIMENTAL))
    state = LADDER[min(LADDER.index(detection.state), lowest)]
    if str(document.get("status")) != state.value:
        rule = with_status(rule, state.value, kit.clock().date())
    back = replace(
        detection,
        rule=rule,
        filters=_texts(payload["filters"]),
        title=str(document.get("title", detection.title)),
        level=str(document.get("level", detection.level)),
        certificate=certificate,
        state=state,
        origin=set_aside(detection.origin, gone=detection.rule, kept=rule),
    )
    faults = broken(back, fixtures)
    if faults:
        raise DomainError(f"version {version.number} is not brought back: {'; '.join(faults)}")
    unit.proofs.keep(detection.rule_id, fixtures)
    return back


def _content(rule: str, filters: Sequence[str]) -> tuple[str, str]:
    return canonical_sha256(rule), filters_sha256(filters)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list | tuple) else ()


def _fixture(told: Mapping[str, Any], kept: Mapping[str, Fixture]) -> Fixture:
    held = kept.get(told["uid"])
    ref = held.ref if held is not None else _ref(told)
    return Fixture(ref=ref, malicious=bool(told["malicious"]), body=str(told["original"]))


def _ref(told: Mapping[str, Any]) -> EventRef:
    named = {field.name: told[field.name] for field in fields(EventRef) if field.name in told}
    return EventRef(**{**named, "time": _time(told["time"])})


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def _certificate(plain: Mapping[str, Any]) -> Certificate:
    """A certificate as a rule store is told of it (``leaving.rule_of``), read back.

    Raises:
        KeyError, TypeError, ValueError: It is none, or of another form.
    """
    times = {name: _time(plain[name]) for name in ("start", "end", "issued_at") if plain[name]}
    refs = {
        name: tuple(_ref(one) for one in plain[name]) for name in ("fixtures", "benign_fixtures")
    }
    pairs = {name: tuple(tuple(one) for one in plain[name]) for name in ("branches", "siems")}
    texts = {name: tuple(plain[name]) for name in ("faults", "unexercised", "limits", "interval")}
    told = {**plain, **times, **refs, **pairs, **texts}
    return Certificate(**{**told, "allows": DetectionState(plain["allows"])})
