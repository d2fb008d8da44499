"""Limits: how many hunts and probes may ask one SIEM at a time, over all workers."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
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
    _registered(siem)
    with concurrency(limit_of(siem), occupy=1, timeout_seconds=WAIT):
        yield


@cache
def _registered(siem: str) -> None:
    """See that the SIEM has its limit: one that came as a block was not there to be registered.

    Prefect lets everybody pass a limit that it does not know.
    """
    name = limit_of(siem)
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # another worker was quicker
                client.create_global_concurrency_limit(
                    GlobalConcurrencyLimitCreate(name=name, limit=AT_ONCE)
                )
