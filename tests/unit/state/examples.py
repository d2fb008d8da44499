"""Things of the domain for the tests of the store: one of each by hand, any of each by strategy."""

import types
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from huntonce.models.entity import Entity
from huntonce.models.evidence import Remedy
from huntonce.models.finding import Disposition, Finding
from huntonce.models.gap import Gap, GapKind, GapState
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.intel import IntelObject
from huntonce.models.outbox import Channel, Message
from huntonce.models.tlp import Tlp

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSION = "2026-01-01T00:00:00.000Z"


def a_hypothesis(
    technique_id: str = "T1053.005", state: HypothesisState = HypothesisState.PROPOSED
) -> Hypothesis:
    return Hypothesis(
        technique_id=technique_id,
        technique_name="Scheduled Task",
        scope="windows",
        statement="Somebody keeps a foothold with a scheduled task.",
        state=state,
    )


def a_gap(source: str = "security/tasks", state: GapState = GapState.SURFACED) -> Gap:
    return Gap(
        gap_kind=GapKind.NO_SOURCE,
        source=source,
        atom_id="security/4698",
        atom_label="Security 4698",
        siem="lake",
        hosts=("HOST1", "HOST2"),
        population=2,
        group="creation",
        severity="high",
        reason="Nobody sees tasks being made.",
        remedy=Remedy(text="Audit it.", commands=("auditpol /set",)),
        state=state,
    )


def a_finding(entity: str = "\\Updater") -> Finding:
    return Finding(
        hypothesis_key="h1",
        technique_id="T1053.005",
        title="A task",
        reason="It is alone.",
        entity=entity,
        score=0.5,
        terms=(),
        state=Disposition.UNDETERMINED,
        hosts=("HOST1",),
        accounts=(),
        first=NOW,
        last=NOW,
        events=(),
    )


def a_message(key: str = "k1", channel: Channel = Channel.TICKET) -> Message:
    return Message(
        key=key,
        channel=channel,
        action="create",
        target="builtin",
        subject="GAP-1",
        payload={"hosts": ["HOST1"], "n": 1},
    )


def an_intel_object(
    object_id: str = "tool--00000000-0000-4000-8000-000000000001",
    version: str = VERSION,
    *,
    name: str = "a tool",
    revoked: bool = False,
    body: bytes | None = None,
) -> IntelObject:
    type_ = object_id.partition("--")[0]
    content = {"type": type_, "id": object_id, "name": name}
    return IntelObject(
        id=object_id,
        type=type_,
        spec_version="2.1",
        version=version,
        created_by="",
        revoked=revoked,
        tlp=Tlp.GREEN,
        body=body or f'{{"type":"{type_}","id":"{object_id}","name":"{name}"}}'.encode(),
        content=content,
    )


def any_of(kind: type[Entity]) -> st.SearchStrategy[Any]:
    """Any value of one kind that its own rules allow."""
    fields = {name: _any_value(hint) for name, hint in get_type_hints(kind).items()}
    if kind is HuntRun:
        concluded = st.builds(
            HuntRun,
            **{
                **fields,
                "state": st.just(HuntState.CONCLUDED),
                "verdict": st.just(Verdict.INCONCLUSIVE),
                "outcomes": st.just(("gap",)),
            },
        )
        running = {"state": st.just(HuntState.RUNNING), "verdict": st.none()}
        return st.builds(HuntRun, **{**fields, **running}) | concluded
    if kind is Hypothesis:
        fields["statement"] = st.text(min_size=1).filter(lambda text: bool(text.strip()))
    return st.builds(kind, **fields)


def _any_value(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return st.one_of(*(_any_value(argument) for argument in arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_any_value(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(_any_value(argument) for argument in arguments))
    if origin is Mapping:
        return st.dictionaries(st.text(max_size=5), _any_value(arguments[1]), max_size=3)
    return _PLAIN[hint] if hint in _PLAIN else _any_named(hint)


def _any_named(hint: Any) -> st.SearchStrategy[Any]:
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    fields = {name: _any_value(field) for name, field in get_type_hints(hint).items()}
    return st.builds(hint, **fields)


_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    type(None): st.none(),
    datetime: st.datetimes(timezones=_ZONES),
    date: st.dates(),
    object: st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
}
