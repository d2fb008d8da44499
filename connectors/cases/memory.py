"""A case desk in memory, which can be told to fail."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from huntonce.connectors.cases.record import CaseRecord
from huntonce.models.case import Determination
from huntonce.models.errors import TerminalError, TransientError


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryCases:
    """Cases in a dictionary.

    Attributes:
        fail_before: How many of the next calls fail before they do anything.
        fail_after: How many of the next writes are done, and their answer is lost.
        delay: Seconds that every call takes.
        refuse: Why every call is refused for good; "" for not.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        clock: Callable[[], datetime] = _now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.fail_before = 0
        self.fail_after = 0
        self.delay = 0.0
        self.refuse = ""
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._cases: dict[str, CaseRecord] = {}

    @property
    def name(self) -> str:
        """Registered name of the desk."""
        return self._name

    def find(self, key: str) -> str | None:
        """Remote id of the case that carries an idempotency key."""
        with self._call(writes=False):
            return next((item.remote_id for item in self._cases.values() if item.key == key), None)

    def create(self, key: str, case: Mapping[str, object]) -> str:
        """Open a case that carries the key, or find it; returns its remote id."""
        with self._call():
            for item in self._cases.values():
                if item.key == key:
                    return item.remote_id
            remote_id = f"MEM-{len(self._cases) + 1}"
            # Through JSON, as on the way to any desk: what cannot make it must not seem to.
            self._cases[remote_id] = CaseRecord(
                remote_id=remote_id, key=key, case=json.loads(json.dumps(dict(case)))
            )
            return remote_id

    def closed(self) -> Mapping[str, tuple[Determination, str, datetime]]:
        """Remote id to determination, note and time of the closed cases, oldest case first."""
        with self._call(writes=False):
            return {
                item.remote_id: (item.determination, item.note, item.closed_at)
                for item in self._cases.values()
                if item.determination is not None and item.closed_at is not None
            }

    def close(self, remote_id: str, determination: Determination, note: str) -> None:
        """Close it; closing it again with the same determination changes nothing."""
        with self._call():
            item = self._cases.get(remote_id)
            if item is None:
                raise TerminalError(f"no case {remote_id!r}", connector=self._name)
            if item.determination not in {None, determination}:
                raise TerminalError(
                    f"{remote_id} was closed as {item.determination} already", connector=self._name
                )
            if item.determination is None:
                self._cases[remote_id] = replace(
                    item, determination=determination, note=note, closed_at=self._clock()
                )

    def list(self) -> tuple[CaseRecord, ...]:
        """Every case, oldest first."""
        return tuple(self._cases.values())

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
