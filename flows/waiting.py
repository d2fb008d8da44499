"""What waits for a person, as operators see it: the page "proposals", kept up to date."""

from prefect.artifacts import create_markdown_artifact

from huntonce.models.proposal import Proposal
from huntonce.models.report.markdown import proposals_page
from huntonce.models.stages.kit import Kit


def show_waiting(kit: Kit) -> tuple[Proposal, ...]:
    """Renew the page; the proposals on it."""
    with kit.open_unit() as unit:
        now = kit.clock()
        waiting = tuple(p for p in unit.proposals.list() if p.waits and p.expires_at > now)
    create_markdown_artifact(
        key="proposals",
        markdown=proposals_page(waiting),
        description=f"{len(waiting)} changes wait for a decision",
    )
    return waiting
