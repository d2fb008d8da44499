"""What the intelligence of a closed case is written from."""

from dataclasses import dataclass
from datetime import datetime

from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.intel import SourceRef
from huntonce.models.tlp import Tlp
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class TechniqueRef:
    """A technique and, where intel had one, the attack-pattern object that stands for it."""

    id: str
    name: str = ""
    stix_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseIntel:
    """All that the intelligence of a closed case is written from.

    Attributes:
        source_refs: The intel that led to the hypothesis.
        organisation: Name of our identity.
        window: What was hunted.
        power: How much of it could be seen, in words.
        created: When the case was closed; the time of every object.
        techniques: Names and attack-patterns of the case's techniques, as far as known.
    """

    case: Case
    detections: tuple[Detection, ...]
    source_refs: tuple[SourceRef, ...]
    organisation: str
    window: Window
    power: str
    created: datetime
    techniques: tuple[TechniqueRef, ...] = ()

    def technique(self, technique_id: str) -> TechniqueRef:
        """What is known of one technique."""
        known = {one.id.upper(): one for one in self.techniques}
        return known.get(technique_id.upper(), TechniqueRef(id=technique_id))

    @property
    def levels(self) -> dict[str, Tlp]:
        """TLP of the source intel by id, for the sharing rules; techniques are public."""
        public = {one.stix_id for one in self.techniques}
        return {ref.object_id: ref.tlp for ref in self.source_refs if ref.object_id not in public}
