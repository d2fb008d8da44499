"""Who gets how far in at the door of the TAXII server: waits and counts."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import cast

from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 20.0
"""Longest time in which the head of a request must have come."""
BODY_SECONDS = 60.0
"""Longest time in which its body must have come."""
MOST_CONNECTIONS = 100
_REMEMBERED = 10_000


class Allowance:
    """At most so many of something in a minute for each name, and so many for all together.

    The names are those of users or addresses; the least recent of too many are forgotten.
    """

    def __init__(
        self, each: int, together: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """See the class; 0 is no limit."""
        self._each, self._together, self._clock = each, together, clock
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._all: tuple[float, int] = (clock(), 0)

    def left(self, name: str) -> float:
        """0.0 where one more is allowed, else the seconds to wait."""
        with self._lock:
            now = self._clock()
            waits = [0.0]
            for (since, count), most in (
                (self._counts.get(name, (now, 0)), self._each),
                (self._all, self._together),
            ):
                if most and count >= most and now - since < 60:  # noqa: PLR2004 - a minute
                    waits.append(since + 60 - now)
            return max(waits)

    def take(self, name: str) -> None:
        """Count one."""
        with self._lock:
            now = self._clock()
            self._counts[name] = _more(self._counts.pop(name, (now, 0)), now)
            self._all = _more(self._all, now)
            while len(self._counts) > _REMEMBERED:
                self._counts.popitem(last=False)


def _more(held: tuple[float, int], now: float) -> tuple[float, int]:
    since, count = held
    return (now, 1) if now - since >= 60 else (since, count + 1)  # noqa: PLR2004 - a minute


class PunctualProtocol(H11Protocol):
    """HTTP that closes a connection whose request does not come: uvicorn itself waits for ever."""

    _waiting: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._answering():
            self._stop()
        elif self._waiting is None:
            self._wait()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        # Until the first request there is no cycle, whatever the type says.
        cycle = cast("object | None", self.cycle)
        return cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(REQUEST_SECONDS, self._late)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _late(self) -> None:
        self._waiting = None
        if not self._answering():
            self.transport.close()
