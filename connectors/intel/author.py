"""STIX 2.1 from what we concluded: a closed case, or a behaviour that was ruled out.

Ids are functions of natural keys and every time is the case's own, so that the same case written
twice is the same bytes, also after the store was lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from huntonce.connectors.intel.observables import observable_objects
from huntonce.models.case import Determination
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.errors import DomainError
from huntonce.models.feedback import CaseIntel, Mask, TechniqueRef
from huntonce.models.finding import Observable
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.ids import stix_id
from huntonce.models.intel import SourceRef
from huntonce.models.tlp import TLP2_EXTENSION, Tlp, tightest
from huntonce.models.windows import utc

SIGMA_VERSION = "2.1.0"
MAX_COUNT = 999_999_999
# Identity and techniques are the same object in every case: their time must not be a case's.
_FIXED = "2024-01-01T00:00:00.000Z"
_PROMOTED = {DetectionState.EXPERIMENTAL, DetectionState.TEST, DetectionState.STABLE}
_DETERMINED = {
    Determination.CONFIRMED: "confirmed by incident response",
    Determination.BLOCKED: "an attempt that was blocked",
    Determination.FAILED_ATTEMPT: "an attempt that failed",
    Determination.SUSPECTED: "suspected, not confirmed",
}
# What the standard lets a relationship end at: no relationships, sightings or markings.
_NO_ENDPOINT = {"relationship", "sighting", "marking-definition", "language-content"}
Stix = dict[str, object]


def author_case(intel: CaseIntel, *, mask: Mask) -> tuple[str, ...]:
    """A closed case as STIX objects, JSON text each: first what others point at, last the report.

    Empty for a false positive: there is no adversary to tell of.

    Raises:
        DomainError: The case is not closed.
    """
    case = intel.case
    if case.determination is None:
        raise DomainError(f"case {case.id or case.key} is not closed; there is nothing to share")
    if case.determination is Determination.FALSE_POSITIVE:
        return ()
    return _CaseAuthor(intel, mask).write()


def author_ruled_out(
    hypothesis: Hypothesis,
    run: HuntRun,
    *,
    organisation: str,
    technique: TechniqueRef,
    tlp: Tlp,
    mask: Mask,
) -> tuple[str, ...]:
    """Negative knowledge as STIX: a sighting with count 0, and a note on how it was looked for.

    Raises:
        DomainError: The run did not rule the hypothesis out, or says nothing of its power.
    """
    if run.verdict is not Verdict.RULED_OUT or run.power is None or run.concluded_at is None:
        raise DomainError(f"hunt {run.id or run.key} did not rule its hypothesis out")
    level = tightest([tlp, *(source.tlp for source in hypothesis.sources)], tlp)
    pen = _Pen(organisation, _time(run.concluded_at), level)
    pattern = pen.technique(technique)
    sighting = pen.sro(
        "sighting",
        (run.key, "none"),
        description=f"{technique.id} was looked for and not seen.",
        first_seen=_time(run.start),
        last_seen=_time(run.end),
        count=0,
        sighting_of_ref=pattern,
        where_sighted_refs=[pen.identity],
        summary=True,
    )
    checks = sum(check.executed for check in run.checks)
    pen.sdo(
        "note",
        (run.key, "none"),
        abstract=f"{technique.id} ruled out",
        content=mask.text(
            f"{hypothesis.statement}\n\nHunt {run.hunt_name}, {checks} checks, from"
            f" {_time(run.start)} to {_time(run.end)}. {run.power.words}"
        ),
        object_refs=[sighting, pattern],
    )
    return pen.texts()


@dataclass(slots=True)
class _Pen:
    """Writes objects of one organisation, one time and, unless said otherwise, one level."""

    organisation: str
    time: str
    tlp: Tlp
    objects: dict[str, Stix] = field(default_factory=dict)
    levels: set[Tlp] = field(default_factory=set)

    @property
    def identity(self) -> str:
        """Our own id; the object is written on first use."""
        name = stix_id("identity", self.organisation)
        self._put(
            {
                "type": "identity",
                "spec_version": "2.1",
                "id": name,
                "created_by_ref": name,
                "created": _FIXED,
                "modified": _FIXED,
                "name": self.organisation,
                "identity_class": "organization",
            },
            Tlp.CLEAR,
        )
        return name

    def technique(self, ref: TechniqueRef) -> str:
        """Id of the attack-pattern: the one that intel already had, else our own."""
        if ref.stix_id:
            return ref.stix_id
        own = self.identity
        name = stix_id("attack-pattern", self.organisation, ref.id)
        # Told by its ATT&CK id alone; a name that may change must not change the object.
        self._put(
            {
                "type": "attack-pattern",
                "spec_version": "2.1",
                "id": name,
                "created_by_ref": own,
                "created": _FIXED,
                "modified": _FIXED,
                "name": ref.id,
                "external_references": [technique_reference(ref.id)],
            },
            Tlp.CLEAR,
        )
        return name

    def sdo(self, kind: str, key: object, tlp: Tlp | None = None, /, **properties: object) -> str:
        """Write an object of ours; returns its id."""
        own = self.identity
        name = stix_id(kind, self.organisation, key)
        self._put(
            {
                "type": kind,
                "spec_version": "2.1",
                "id": name,
                "created_by_ref": own,
                "created": self.time,
                "modified": self.time,
                **properties,
            },
            tlp or self.tlp,
        )
        return name

    sro = sdo

    def relate(self, kind: str, source: str, target: str, tlp: Tlp | None = None) -> str:
        """Write a relationship; returns its id."""
        return self.sdo(
            "relationship",
            (kind, source, target, self.time),
            tlp,
            relationship_type=kind,
            source_ref=source,
            target_ref=target,
        )

    def observable(self, sco: Stix) -> str:
        """Put an observable in; returns its id."""
        self._put(dict(sco), self.tlp)
        return str(sco["id"])

    def texts(self) -> tuple[str, ...]:
        """All that was written, the TLP definitions first."""
        markings = [_marking(level) for level in sorted(self.levels, key=lambda one: one.rank)]
        return tuple(orjson.dumps(one).decode() for one in (*markings, *self.objects.values()))

    def _put(self, content: Stix, tlp: Tlp) -> None:
        self.levels.add(tlp)
        content["object_marking_refs"] = [tlp.marking_id]
        self.objects.setdefault(str(content["id"]), content)


class _CaseAuthor:
    """Writes one case."""

    def __init__(self, intel: CaseIntel, mask: Mask) -> None:
        self.intel = intel
        self.case = intel.case
        self.mask = mask
        self.key = intel.case.natural_key
        self.pen = _Pen(intel.organisation, _time(intel.created), intel.case.tlp)

    def write(self) -> tuple[str, ...]:
        """Everything, in the order in which others point at it."""
        patterns = {
            one: self.pen.technique(self.intel.technique(one)) for one in self.case.technique_ids
        }
        incident = self._incident()
        observed, scos = self._observed()
        indicators = [self._indicator(one) for one in self._promoted()]
        relations = [self.pen.relate("related-to", incident, one) for one in patterns.values()]
        if observed:
            relations.append(self.pen.relate("related-to", observed, incident))
        for detection, indicator in zip(self._promoted(), indicators, strict=True):
            aims = [patterns[t] for t in detection.technique_ids if t in patterns]
            relations += [
                self.pen.relate("indicates", indicator, aim) for aim in aims or patterns.values()
            ]
            if observed:
                relations.append(self.pen.relate("based-on", indicator, observed))
            relations.append(self.pen.relate("related-to", indicator, incident))
        sightings = [self._sighting(one, observed) for one in (*patterns.values(), *indicators)]
        note = self._note(incident)
        relations += self._to_sources(incident)
        self._derived()
        parts = [incident, *([observed] if observed else []), *scos, *indicators]
        self._report([*parts, *patterns.values(), *relations, *sightings, note])
        return self.pen.texts()

    def _promoted(self) -> list[Detection]:
        return [one for one in self.intel.detections if one.state in _PROMOTED]

    def _incident(self) -> str:
        case = self.case
        outcome = _DETERMINED.get(case.determination or Determination.SUSPECTED, "")
        hosts = ", ".join(sorted({self.mask.host(host) for host in case.hosts}))
        span = f"from {_time(case.first)} to {_time(case.last)}"
        seen = f"Seen on {len(case.hosts)} hosts ({hosts}) {span}; {outcome}."
        words = [self.mask.text(case.summary), seen, self.mask.text(case.note)]
        return self.pen.sdo(
            "incident",
            self.key,
            name=self.mask.text(case.title),
            description="\n\n".join(one for one in words if one.strip()),
            labels=[f"severity-{case.severity.casefold()}", f"determination-{case.determination}"],
            external_references=[technique_reference(one) for one in case.technique_ids],
        )

    def _observed(self) -> tuple[str, list[str]]:
        accounts = [Observable(type="user", value=name) for name in self.case.accounts]
        scos = observable_objects([*self.case.observables, *accounts], self.mask)
        if not scos:
            return "", []
        names = [self.pen.observable(one) for one in scos]
        observed = self.pen.sdo(
            "observed-data",
            self.key,
            first_observed=_time(self.case.first),
            last_observed=_time(self.case.last),
            number_observed=self._count(),
            object_refs=names,
        )
        return observed, names

    def _indicator(self, detection: Detection) -> str:
        return self.pen.sdo(
            "indicator",
            (self.key, detection.rule_id),
            name=self.mask.text(detection.title),
            description=f"Sigma rule of level {detection.level}, derived from a hunt that found"
            f" {', '.join(detection.technique_ids)}.",
            indicator_types=["malicious-activity"],
            pattern=detection.rule,
            pattern_type="sigma",
            pattern_version=SIGMA_VERSION,
            valid_from=self.pen.time,
            external_references=[technique_reference(one) for one in detection.technique_ids],
        )

    def _sighting(self, seen: str, observed: str) -> str:
        """We saw the behaviour, and what our rule describes; not an actor: that is attribution."""
        return self.pen.sro(
            "sighting",
            (self.key, seen),
            description="Seen in our own telemetry.",
            first_seen=_time(self.case.first),
            last_seen=_time(self.case.last),
            count=self._count(),
            sighting_of_ref=seen,
            **({"observed_data_refs": [observed]} if observed else {}),
            where_sighted_refs=[self.pen.identity],
        )

    def _note(self, incident: str) -> str:
        window = self.intel.window
        return self.pen.sdo(
            "note",
            self.key,
            abstract="How it was found, and how much could be seen",
            content=self.mask.text(
                f"Hunted from {_time(window.start)} to {_time(window.end)}. {self.intel.power}"
            ),
            object_refs=[incident],
        )

    def _to_sources(self, incident: str) -> list[str]:
        """Relationships to the intel that led here, each as tight as its source."""
        return [
            self.pen.relate("related-to", incident, source.object_id, self._tighter(source))
            for source in self._sources()
            if source.object_type != "report"
        ]

    def _derived(self) -> None:
        """Our report is derived from theirs; the standard derives like from like only."""
        report = stix_id("report", self.intel.organisation, self.key)
        for source in self._sources():
            if source.object_type == "report":
                self.pen.relate("derived-from", report, source.object_id, self._tighter(source))

    def _sources(self) -> list[SourceRef]:
        known = set(self.pen.objects) | {one.stix_id for one in self.intel.techniques}
        unique = {
            ref.object_id: ref
            for ref in self.intel.source_refs
            if ref.object_type not in _NO_ENDPOINT and ref.object_id not in known
        }
        return [unique[name] for name in sorted(unique)]

    def _tighter(self, source: SourceRef) -> Tlp:
        return tightest([self.case.tlp, source.tlp], source.tlp)

    def _report(self, refs: Iterable[str]) -> None:
        self.pen.sdo(
            "report",
            self.key,
            name=self.mask.text(self.case.title),
            description=self.mask.text(self.case.summary) or self.mask.text(self.case.title),
            report_types=["observed-data", "indicator"],
            published=self.pen.time,
            object_refs=list(dict.fromkeys(refs)),
        )

    def _count(self) -> int:
        return min(max(len(self.case.events), 1), MAX_COUNT)


def technique_reference(technique_id: str) -> Stix:
    """An external reference to an ATT&CK technique."""
    return {"source_name": "mitre-attack", "external_id": technique_id}


def _marking(level: Tlp) -> Stix:
    """The TLP 2.0 marking definition as OASIS publishes it."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": level.marking_id,
        "created": "2022-10-01T00:00:00.000Z",
        "name": f"TLP:{level.upper()}",
        "extensions": {
            TLP2_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level.value}
        },
    }


def _time(moment: datetime) -> str:
    return f"{utc(moment).isoformat(timespec='milliseconds')[:23]}Z"
