"""Limits: how many hunts and probes may ask one SIEM at a time, over all workers."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.sync import concurrency
from prefect.runtime import deployment

AT_ONCE = 2
"""Slots of a SIEM when its limit is registered; operators change the limit in the UI."""
WAIT = 6 * 3600.0


def limit_of(siem: str) -> str:
    """Name of a SIEM's limit."""
    return f"huntonce-siem-{siem}"


@contextmanager
def asking(siem: str) -> Iterator[None]:
    """Within the block this run holds one of the SIEM's slots.

    Only deployments are limited: a command of one person is one run, on a server that may know
    no limits. A slot whose holder died is free again when its lease ends.
    """
    if not deployment.id:
        yield
        return
    with concurrency(limit_of(siem), occupy=1, timeout_seconds=WAIT):
        yield
