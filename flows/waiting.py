"""What waits for a person, as operators see it: the page "proposals", kept up to date."""

from prefect.artifacts import create_markdown_artifact

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
        markdown=proposals_page(found),
        description=f"{len(found)} changes wait for a decision",
    )
