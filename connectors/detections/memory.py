"""A store of detections in memory, which can be told to fail."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from huntonce.models.detection import HeldRule
from huntonce.models.errors import TerminalError, TransientError


class MemoryDetections:
    """Detections in a dictionary.

    Attributes:
        live: Rule id to what was deployed.
        retired: The same of those retired.
        on: Ids of the rules that operators switched on, where this stands for a SIEM.
        fail_before: How many of the next calls fail before they do anything.
        fail_after: How many of the next writes are done, and their answer is lost.
        delay: Seconds that every call takes.
        refuse: Why every call is refused for good; "" for not.
    """

    def __init__(
        self, name: str = "memory", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.live: dict[str, Mapping[str, object]] = {}
        self.retired: dict[str, Mapping[str, object]] = {}
        self.on: set[str] = set()
        self.fail_before = 0
        self.fail_after = 0
        self.delay = 0.0
        self.refuse = ""
        self._name = name
        self._sleep = sleep

    @property
    def name(self) -> str:
        """Registered name of the store."""
        return self._name

    def find(self, key: str) -> str | None:
        """The rule's id, where it is deployed."""
        with self._call(writes=False):
            return key.lower() if key.lower() in self.live else None

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Keep the rule; returns its id."""
        with self._call():
            try:
                rule_id = str(UUID(key))
            except ValueError as error:
                raise TerminalError("a rule id is a UUID", connector=self._name) from error
            if str(detection.get("rule_id")).lower() != rule_id or not detection.get("rule"):
                raise TerminalError(
                    f"{rule_id}: the detection names another rule id, or has no rule",
                    connector=self._name,
                )
            # Through JSON, as on the way to any SIEM: what cannot make it must not seem to.
            self.live[rule_id] = json.loads(json.dumps(dict(detection)))
            return rule_id

    def kept(self, key: str) -> Mapping[str, str] | None:
        """Part to its text; None where the rule is not live."""
        with self._call(writes=False):
            held = self.live.get(key.lower())
            if held is None:
                return None
            found = {"rule": str(held["rule"])}
            filters = held.get("filters")
            if isinstance(filters, list) and filters:
                found["filters"] = "---\n".join(f"{text.rstrip()}\n" for text in filters)
            for part in ("certificate", "fixtures", "hunt"):
                if held.get(part):
                    found[part] = json.dumps(held[part], sort_keys=True)
            return found

    def rules(self) -> tuple[str, ...]:
        """Ids of the live rules, sorted."""
        with self._call(writes=False):
            return tuple(sorted(self.live))

    def held(self) -> tuple[HeldRule, ...]:
        """Every live rule, off until an operator puts its id into ``on``."""
        with self._call(writes=False):
            return tuple(
                HeldRule(rule_id=rule_id, enabled=rule_id in self.on) for rule_id in self.live
            )

    def retire(self, remote_id: str) -> None:
        """Take the rule out; a retired one stays so."""
        with self._call():
            if remote_id in self.live:
                self.on.discard(remote_id)
                self.retired[remote_id] = self.live.pop(remote_id)
            elif remote_id not in self.retired:
                raise TerminalError(f"no rule {remote_id!r}", connector=self._name)

    @contextmanager
    def _call(self, *, writes: bool = True) -> Iterator[None]:
        if self.delay:
            self._sleep(self.delay)
        if self.refuse:
            raise TerminalError(self.refuse, connector=self._name)
        if self.fail_before > 0:
            self.fail_before -= 1
            raise TransientError("no connection", connector=self._name)
        yield
        if writes and self.fail_after > 0:
            self.fail_after -= 1
            raise TransientError("the answer was lost", connector=self._name)
