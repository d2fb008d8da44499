"""What the intelligence of a closed case, and of a hunt that found nothing, is written from."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.intel import SourceRef
from huntonce.models.tlp import Tlp, tightest
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class TechniqueRef:
    """A technique and, where intel had one, the attack-pattern object that stands for it."""

    id: str
    name: str = ""
    stix_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRef:
    """A malware, tool, campaign or actor that IR named.

    Attributes:
        type: STIX type: malware, tool, campaign or intrusion-set.
        stix_id: The object of that name that intel had; "" where it had none, or several.
        tlp: That object's marking.
    """

    type: str
    name: str
    stix_id: str = ""
    tlp: Tlp = Tlp.CLEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """How to make a trace visible: general knowledge of a technique, not what we lack.

    Attributes:
        key: Of the evidence atom ("security/4698").
    """

    key: str
    name: str
    text: str
    technique_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """In what form a destination wants our intel.

    Attributes:
        incident_core: Incidents carry the Incident Core extension.
        confirmed_as: What a confirmed incident is called there: the extension's text and its
            schema differ, ``suspected`` is right under both.
        gaps: The destination is told what we could not see.
    """

    incident_core: bool = False
    confirmed_as: str = "suspected"
    gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseIntel:
    """All that the intelligence of a closed case is written from.

    Attributes:
        source_refs: The intel that led to the hypothesis.
        organisation: Name of our identity.
        window: What was hunted.
        power: How much of it could be seen, in words that name no gap.
        blind: What could not be seen, in words; written only where the style says so.
        created: When the case was closed; the time of every object.
        modified: When IR last said something about it.
        techniques: Names and attack-patterns of the case's techniques, as far as known.
        stated: Whom and what IR named.
        advice: How to make the traces visible that the case's detections feed on.
    """

    case: Case
    detections: tuple[Detection, ...]
    source_refs: tuple[SourceRef, ...]
    organisation: str
    window: Window
    power: str
    blind: tuple[str, ...] = ()
    created: datetime
    modified: datetime | None = None
    techniques: tuple[TechniqueRef, ...] = ()
    stated: tuple[NamedRef, ...] = ()
    advice: tuple[Advice, ...] = ()
    style: Style = field(default_factory=Style)

    def technique(self, technique_id: str) -> TechniqueRef:
        """What is known of one technique."""
        known = {one.id.upper(): one for one in self.techniques}
        return known.get(technique_id.upper(), TechniqueRef(id=technique_id))

    @property
    def tlp(self) -> Tlp:
        """The tightest of the case's marking and those of all intel that it was derived from."""
        public = {one.stix_id for one in self.techniques}
        sources = (ref.tlp for ref in self.source_refs if ref.object_id not in public)
        return tightest([self.case.tlp, *sources], self.case.tlp)

    @property
    def levels(self) -> dict[str, Tlp]:
        """TLP of the intel that is named but not ours, by id; techniques are public."""
        public = {one.stix_id for one in self.techniques}
        named = {one.stix_id: one.tlp for one in self.stated if one.stix_id}
        sources = {ref.object_id: ref.tlp for ref in self.source_refs}
        found = {**named, **sources}
        return {name: level for name, level in found.items() if name not in public}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledOutIntel:
    """What negative knowledge is written from.

    Attributes:
        floor: Least power; under it nothing is said.
        power: How much could be seen, in words that name no gap.
        tlp: Marking where the sources are more open.
    """

    hypothesis: Hypothesis
    run: HuntRun
    organisation: str
    technique: TechniqueRef
    tlp: Tlp
    floor: float
    power: str
    blind: tuple[str, ...] = ()
    style: Style = field(default_factory=Style)

    @property
    def levels(self) -> dict[str, Tlp]:
        """TLP of the source intel by id; the technique is public."""
        return {
            ref.object_id: ref.tlp
            for ref in self.hypothesis.sources
            if ref.object_id != self.technique.stix_id
        }


class Stance(StrEnum):
    """What a person may think of an object, in STIX's words."""

    STRONGLY_DISAGREE = "strongly-disagree"
    DISAGREE = "disagree"
    NEUTRAL = "neutral"
    AGREE = "agree"
    STRONGLY_AGREE = "strongly-agree"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionIntel:
    """What an opinion is written from.

    Attributes:
        about: STIX id of the object.
        tlp: That object's marking, or ours where it is tighter.
        at: When the person said so.
    """

    about: str
    stance: Stance
    why: str
    organisation: str
    tlp: Tlp
    at: datetime
