"""Progress of long work, as the bar that operators see on a run's artifacts page."""

from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact


class Progress:
    """A bar from 0 to 100 %."""

    def __init__(self, key: str, description: str) -> None:
        made = create_progress_artifact(0.0, key=key, description=description)
        self._id = cast("UUID", made)  # the typed answer is also that of its asynchronous twin

    def at(self, done: int, of: int) -> None:
        """So many of so many are done."""
        update_progress_artifact(self._id, round(100.0 * done / of, 1) if of else 100.0)
