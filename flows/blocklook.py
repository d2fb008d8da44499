"""Looking at a server's blocks without Prefect: for commands, which must not pay for its import."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import httpx

from huntonce.flows.connected import Namesakes
from huntonce.flows.signals import WITHIN, login
from huntonce.models.errors import TransientError

FAMILIES = ("siem", "desk")
"""Sorts of block in which a name has to be one kind's only: a name says no kind."""
PAGE = 200
"""Blocks that Prefect gives at a time."""


def namesakes(api: str, settled: Mapping[str, Collection[str]]) -> tuple[Namesakes, ...]:
    """The names that blocks of several kinds of one sort have, by name; asks for no secret.

    Args:
        api: Address of Prefect's API.
        settled: Names of each sort that the settings have: these win, so no block is meant.

    Raises:
        TransientError: The server did not answer.
    """
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    offset = 0
    while True:
        page = _page(api, offset)
        for block in page:
            slug = str(block["block_type"]["slug"])
            for family in FAMILIES:
                start = f"huntonce-{family}-"
                if slug.startswith(start) and block["name"] is not None:
                    kinds[family, str(block["name"])].append(slug.removeprefix(start))
        offset += len(page)
        if len(page) < PAGE:
            break
    return tuple(
        Namesakes(name, found)
        for (family, name), found in sorted(kinds.items())
        if len(found) > 1 and name not in settled.get(family, ())
    )


def _page(api: str, offset: int) -> list[dict[str, dict[str, object]]]:
    asked = {"limit": PAGE, "offset": offset, "include_secrets": False}
    try:
        answer = httpx.post(
            f"{api}/block_documents/filter", json=asked, headers=login(), timeout=WITHIN
        ).raise_for_status()
        found = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise TransientError(
            f"the Prefect server at {httpx.URL(api).host} did not show its blocks",
            connector="prefect",
            hint="see that it runs, and that PREFECT_API_AUTH_STRING has its login",
        ) from error
    return found if isinstance(found, list) else []
