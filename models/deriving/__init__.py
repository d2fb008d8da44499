"""From stored intelligence to hypotheses: claims, priority, statements."""

from huntonce.models.deriving.claims import Cause, Unplaced, behaviours, placements
from huntonce.models.deriving.hypotheses import LOGIC_VERSION, broader, derive, outside, scopes
from huntonce.models.deriving.priority import WEIGHTS
from huntonce.models.deriving.traces import traces

__all__ = [
    "LOGIC_VERSION",
    "WEIGHTS",
    "Cause",
    "Unplaced",
    "behaviours",
    "broader",
    "derive",
    "outside",
    "placements",
    "scopes",
    "traces",
]
