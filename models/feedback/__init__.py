"""What may leave of what we learned: sharing rules and pseudonyms, as pure functions."""

from huntonce.models.feedback.case_intel import CaseIntel, TechniqueRef
from huntonce.models.feedback.leaks import PRIVATE_NETWORKS, Leaks, leaks
from huntonce.models.feedback.mask import Mask
from huntonce.models.feedback.sharing import SharingRules, plan_publications

__all__ = [
    "PRIVATE_NETWORKS",
    "CaseIntel",
    "Leaks",
    "Mask",
    "SharingRules",
    "TechniqueRef",
    "leaks",
    "plan_publications",
]
