"""Registering: everything that Prefect has to know of Huntonce, safe to repeat.

``python -m huntonce.flows.registering prefect.yaml [SIEM ...]`` in an environment that names a
server: block types, a concurrency limit for each SIEM, the work pool, every deployment.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from huntonce.flows.blocks import BLOCKS
from huntonce.flows.limits import AT_ONCE, limit_of
from huntonce.flows.runtime import POOL


async def register(recipe: Path, siems: Sequence[str]) -> None:
    """Register all of it on the configured server."""
    async with get_client() as client:
        with suppress(ObjectAlreadyExists):  # what an operator changed on it stays
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        for siem in siems:
            await _limit(client, limit_of(siem))
    for block in BLOCKS:
        await block.aregister_type_and_schema()
    words = ["--no-prompt", "deploy", "--all", "--prefect-file", str(recipe)]
    done = subprocess.run(  # noqa: S603, ASYNC221 - our own interpreter; nothing else waits
        [sys.executable, "-m", "prefect", *words], stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.exit(f"prefect deploy ended with code {done.returncode}")


async def _limit(client: PrefectClient, name: str) -> None:
    try:
        await client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        await client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name=name, limit=AT_ONCE)
        )


if __name__ == "__main__":
    asyncio.run(register(Path(sys.argv[1]), sys.argv[2:]))
