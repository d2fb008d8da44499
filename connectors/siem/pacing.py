"""A rate of requests that is held over all threads."""

import threading
import time


class Pacer:
    """Lets no more than so many requests a second pass.

    Args:
        rate: Requests a second; 0 for as many as come.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next request may be sent."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + 1 / self._rate
        time.sleep(max(0.0, start - now))
