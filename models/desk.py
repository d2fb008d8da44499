"""How something of ours stands at a desk that is not ours."""

from dataclasses import dataclass

MAX_COMMENTS = 50
GONE = "not found"
"""Status of what its desk does not show: deleted, moved, or the right to see it is gone."""
MAX_COMMENT = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody wrote there.

    Attributes:
        id: The desk's id of it.
        at: When, as the desk writes it.
    """

    id: str
    author: str
    at: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AtDesk:
    """A ticket or a case as its desk last showed it.

    Attributes:
        status: In the desk's own words ("In Progress").
        assignee: Whose it is there.
        url: Where a person finds it.
        changed: When it last changed, as the server wrote it; empty where it does not say.
        comments: Oldest first; the newest ``MAX_COMMENTS``, each cut at ``MAX_COMMENT``.
    """

    status: str = ""
    assignee: str = ""
    url: str = ""
    changed: str = ""
    comments: tuple[Comment, ...] = ()


UNSEEN = AtDesk()
"""Of something that no desk has told of yet."""
