"""From stored intelligence to hypotheses: claims, priority, statements."""

from huntonce.models.deriving.claims import Cause, Unplaced, behaviours, placements
from huntonce.models.deriving.hypotheses import LOGIC_VERSION, derive, outside, scopes
from huntonce.models.deriving.priority import WEIGHTS

__all__ = [
    "LOGIC_VERSION",
    "WEIGHTS",
    "Cause",
    "Unplaced",
    "behaviours",
    "derive",
    "outside",
    "placements",
    "scopes",
]
