"""Stores of detections at SIEMs whose rules carry our mark: the hash of what was written.

A rule starts off, and is only ever turned off from here: its switch is the operators'. What they
changed in it is seen by the hash, and not written over unless that is asked for.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

from huntonce.models.detection import HeldRule
from huntonce.models.errors import TerminalError, TransientError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TRIES = 3

Document = dict[str, Any]
"""A rule as the SIEM holds it."""
C = TypeVar("C")
"""A rule as it is to be written."""


def is_rule_id(key: str) -> bool:
    """Whether a key is a rule's UUID: it becomes part of an address."""
    return _UUID.fullmatch(key.lower()) is not None


def whole_rule(siem: str, rule_id: str, detection: Mapping[str, object]) -> str:
    """A detection's rule with the filters of this environment, as YAML documents.

    Raises:
        TerminalError: It holds no rule of that id, or its filters are no texts.
    """
    rule = detection.get("rule")
    if not isinstance(rule, str) or detection.get("rule_id") not in (None, rule_id):
        raise _wrong(siem, f"rule {rule_id}: the detection holds no rule of that id")
    filters = detection.get("filters") or ()
    texts = [filters] if isinstance(filters, str) else filters
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise _wrong(siem, f"rule {rule_id}: its filters are no texts")
    return "\n---\n".join([rule.rstrip(), *(text.rstrip() for text in texts if text.strip())])


class MarkedRules(ABC, Generic[C]):
    """The rules of a SIEM that carry our mark.

    Args:
        name: Registered name of the SIEM.
        mark: Finds state ("deployed", "retired") and hash in a rule's description.
    """

    def __init__(self, name: str, mark: re.Pattern[str]) -> None:
        self._name = name
        self._mark_of = mark

    @property
    def name(self) -> str:
        """Registered name of the store."""
        return self._name

    def find(self, key: str) -> str | None:
        """The rule's id, where it is there with our mark and not retired."""
        held = self._get(key.lower()) if is_rule_id(key) else None
        return key.lower() if held is not None and self._mark(held)[0] == "deployed" else None

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write or renew the rule; returns its id.

        The same content is written once. A new or retired rule is off; one that is there stays
        switched as the operators have it.

        Raises:
            TerminalError: It cannot be translated, or somebody changed or made it there and the
                detection does not say ``overwrite``.
            TransientError: The SIEM did not answer, or somebody else writes it as well.
        """
        rule_id = key.lower()
        if not is_rule_id(key):
            raise self._wrong(f"{key!r} is no UUID")
        content = self._content(rule_id, detection)
        for _ in range(_TRIES):
            held = self._get(rule_id)
            if held is not None and not detection.get("overwrite") and not self._untouched(held):
                raise TerminalError(
                    f"rule {rule_id} was changed at {self._name} and is not written over",
                    connector=self._name,
                    hint="look at the change there; undo it, or deploy with --restore",
                )
            there = held is not None and self._mark(held)[0] == "deployed"
            if held is not None and there and self._same(held, content):
                return rule_id
            if self._put(rule_id, held, content, there=there):
                return rule_id
        raise self._contended(rule_id)

    def retire(self, remote_id: str) -> None:
        """Turn the rule off for good; it stays there, marked.

        Raises:
            TerminalError: There is no such rule of ours.
            TransientError: As ``deploy``.
        """
        rule_id = remote_id.lower()
        for _ in range(_TRIES):
            held = self._get(rule_id) if is_rule_id(remote_id) else None
            if held is None or not self._mark(held)[0]:
                raise self._wrong(f"no rule {remote_id} of ours")
            if self._mark(held)[0] == "retired" and not self._is_on(held):
                return
            if self._put_off(rule_id, held):
                return
        raise self._contended(rule_id)

    def held(self) -> tuple[HeldRule, ...]:
        """Every rule that is there and not retired: its switch, and whether it was touched."""
        found = [
            HeldRule(rule_id=rule_id, enabled=self._is_on(rule), untouched=self._untouched(rule))
            for rule_id, rule in self._all()
            if is_rule_id(rule_id) and self._mark(rule)[0] == "deployed"
        ]
        return tuple(sorted(found, key=lambda rule: rule.rule_id))

    # ------------------------------------------------------------ what each SIEM says itself

    @abstractmethod
    def _content(self, rule_id: str, detection: Mapping[str, object]) -> C:
        """What is to be written of a detection.

        Raises:
            TerminalError: It cannot be translated.
        """

    @abstractmethod
    def _get(self, rule_id: str) -> Document | None:
        """The rule as it is there, ours or not; None where there is none."""

    @abstractmethod
    def _all(self) -> Iterable[tuple[str, Document]]:
        """Every rule with its id, ours or not."""

    @abstractmethod
    def _put(self, rule_id: str, held: Document | None, content: C, *, there: bool) -> bool:
        """Whether it was written; not, where somebody else wrote in between.

        ``there``: it is deployed, and keeps its switch; else it is written switched off.
        """

    @abstractmethod
    def _put_off(self, rule_id: str, held: Document) -> bool:
        """Whether the rule was turned off and marked as retired."""

    @abstractmethod
    def _described(self, rule: Document) -> object:
        """The description, which carries our mark."""

    @abstractmethod
    def _is_on(self, rule: Document) -> bool:
        """Whether its operators have it switched on."""

    @abstractmethod
    def _hash(self, rule: Document) -> str:
        """Of what would run there."""

    @abstractmethod
    def _hash_of(self, content: C) -> str:
        """Of what is to be written."""

    # ------------------------------------------------------------ inside

    def _mark(self, rule: Document) -> tuple[str, str]:
        """State and hash that we wrote; empty for a rule that is not ours."""
        found = self._mark_of.search(str(self._described(rule) or ""))
        return (found[1], found[2]) if found else ("", "")

    def _untouched(self, rule: Document) -> bool:
        return self._mark(rule)[1] == self._hash(rule)

    def _same(self, rule: Document, content: C) -> bool:
        return self._hash(rule) == self._mark(rule)[1] == self._hash_of(content)

    def _wrong(self, message: str) -> TerminalError:
        return _wrong(self._name, message)

    def _contended(self, rule_id: str) -> TransientError:
        return TransientError(
            f"rule {rule_id} is being written by somebody else", connector=self._name, hint="repeat"
        )


def _wrong(siem: str, message: str) -> TerminalError:
    return TerminalError(message, connector=siem, hint="see huntonce detections")
