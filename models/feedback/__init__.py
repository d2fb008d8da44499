"""What may leave of what we learned: sharing rules and pseudonyms, as pure functions."""

from huntonce.models.feedback.case_intel import (
    Advice,
    CaseIntel,
    NamedRef,
    OpinionIntel,
    RuledOutIntel,
    Stance,
    Style,
    TechniqueRef,
)
from huntonce.models.feedback.leaks import PRIVATE_NETWORKS, Leaks, leaks
from huntonce.models.feedback.mask import Mask, has_pseudonym
from huntonce.models.feedback.scoping import scoped
from huntonce.models.feedback.sharing import SharingRules, granted, plan_publications
from huntonce.models.feedback.versions import revoked, stix_time, versioned

__all__ = [
    "PRIVATE_NETWORKS",
    "Advice",
    "CaseIntel",
    "Leaks",
    "Mask",
    "NamedRef",
    "OpinionIntel",
    "RuledOutIntel",
    "SharingRules",
    "Stance",
    "Style",
    "TechniqueRef",
    "granted",
    "has_pseudonym",
    "leaks",
    "plan_publications",
    "revoked",
    "scoped",
    "stix_time",
    "versioned",
]
