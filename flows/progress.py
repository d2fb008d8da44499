"""Progress of long work, as the bar that operators see on a run's artifacts page."""

from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

STEP = 1.0
"""Per cent that the bar moves at least: each update is a request to the server."""
WHOLE = 100.0


class Progress:
    """A bar from 0 to 100 %."""

    def __init__(self, key: str, description: str) -> None:
        made = create_progress_artifact(0.0, key=key, description=description)
        self._id = cast("UUID", made)  # the typed answer is also that of its asynchronous twin
        self._shown = 0.0

    def at(self, done: int, of: int) -> None:
        """So many of so many are done; shown where the bar moves, and at the end."""
        share = round(WHOLE * done / of, 1) if of else WHOLE
        if share == self._shown or (share < WHOLE and share - self._shown < STEP):
            return
        update_progress_artifact(self._id, share)
        self._shown = share
