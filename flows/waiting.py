"""What waits for a person, as operators see it: the page "proposals", kept up to date."""

from functools import cache

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from huntonce.models.proposal import Proposal
from huntonce.models.report.markdown import proposals_page
from huntonce.models.stages.kit import Kit


def waiting(kit: Kit) -> tuple[Proposal, ...]:
    """The proposals that a person may decide now."""
    with kit.open_unit() as unit:
        now = kit.clock()
        return tuple(p for p in unit.proposals.list() if p.waits and p.expires_at > now)


def show_waiting(kit: Kit) -> None:
    """Renew the page."""
    found = waiting(kit)
    create_markdown_artifact(
        key="proposals",
        markdown=proposals_page(found, form() if found else ""),
        description=f"{len(found)} {'change waits' if len(found) == 1 else 'changes wait'} "
        "for a decision",
    )


def form() -> str:
    """Path of the form of decide-proposal on the server of this run; empty where it has none."""
    return _form_at(get_current_settings().api.url)


@cache
def _form_at(_api: str | None) -> str:
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name("decide-proposal/decide-proposal")
    except (ObjectNotFound, httpx.HTTPError):  # a page without the link is better than none
        return ""
    return f"/deployments/deployment/{found.id}/run"
