"""A closed case as STIX 2.1: what was seen, what finds it, and what IR said of it."""

from collections.abc import Collection, Iterable
from datetime import timedelta

from huntonce.connectors.intel.atomics import atomics
from huntonce.connectors.intel.observables import observable_objects
from huntonce.connectors.intel.pen import Pen, Stix, technique_reference
from huntonce.models.case import Determination
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.errors import DomainError
from huntonce.models.feedback import Advice, CaseIntel, Mask, NamedRef, stix_time
from huntonce.models.finding import Observable
from huntonce.models.ids import stix_id
from huntonce.models.indicators.warninglists import Warninglists
from huntonce.models.intel import SourceRef
from huntonce.models.tlp import Tlp, tightest

SIGMA_VERSION = "2.1.0"
INCIDENT_CORE = "extension-definition--ef765651-680c-498d-9894-99799f2fa126"
MAX_COUNT = 999_999_999
_PROMOTED = {DetectionState.EXPERIMENTAL, DetectionState.TEST, DetectionState.STABLE}
_DETERMINED = {
    Determination.CONFIRMED: "confirmed by incident response",
    Determination.BLOCKED: "an attempt that was blocked",
    Determination.FAILED_ATTEMPT: "an attempt that failed",
    Determination.SUSPECTED: "suspected, not confirmed",
}
# What the standard lets a relationship end at: no relationships, sightings or markings.
_NO_ENDPOINT = {"relationship", "sighting", "marking-definition", "language-content"}


def author_case(
    intel: CaseIntel, *, mask: Mask, lists: Warninglists | None = None
) -> tuple[str, ...]:
    """A closed case as STIX objects, JSON text each: first what others point at, last the report.

    Empty for a false positive: there is no adversary to tell of. ``lists``: values that are worth
    no indicator.

    Raises:
        DomainError: The case is not closed.
    """
    case = intel.case
    if case.determination is None:
        raise DomainError(f"case {case.id or case.key} is not closed; there is nothing to share")
    if case.determination is Determination.FALSE_POSITIVE:
        return ()
    return _CaseAuthor(intel, mask, lists or Warninglists(exact={})).write()


class _CaseAuthor:
    """Writes one case."""

    def __init__(self, intel: CaseIntel, mask: Mask, lists: Warninglists) -> None:
        self.intel = intel
        self.case = intel.case
        self.mask = mask
        self.lists = lists
        self.key = intel.case.natural_key
        self.pen = Pen(
            intel.organisation,
            stix_time(intel.created),
            intel.tlp,
            stix_time(max(intel.modified or intel.created, intel.created)),
        )

    def write(self) -> tuple[str, ...]:
        """Everything, in the order in which others point at it."""
        pen = self.pen
        patterns = {
            one: pen.technique(self.intel.technique(one)) for one in self.case.technique_ids
        }
        incident = self._incident()
        observed, scos = self._observed()
        rules = {self._rule(one): one for one in self._promoted()}
        values = self._atomics()
        named = {self._named(one): one for one in self.intel.stated}
        relations = [pen.relate("related-to", incident, one) for one in patterns.values()]
        if observed:
            relations.append(pen.relate("related-to", observed, incident))
        for indicator, detection in rules.items():
            aims = [patterns[t] for t in detection.technique_ids if t in patterns]
            relations += [pen.relate("indicates", indicator, a) for a in aims or patterns.values()]
        for indicator in values:
            relations += [pen.relate("indicates", indicator, aim) for aim in patterns.values()]
        for indicator in (*rules, *values):
            relations += self._of_indicator(indicator, incident, observed)
        relations += self._attribution(named, patterns.values(), (*rules, *values), incident)
        advice = [self._advice(one, rules, relations) for one in self.intel.advice]
        seen = [name for name, ref in named.items() if ref.type in {"malware", "tool"}]
        sightings = [self._sighting(one, observed) for one in (*patterns.values(), *rules, *seen)]
        notes = self._notes(incident)
        relations += self._to_sources(incident)
        self._derived()
        parts = [incident, *([observed] if observed else []), *scos, *rules, *values, *named]
        self._report([*parts, *patterns.values(), *advice, *relations, *sightings, *notes])
        return pen.texts()

    def _promoted(self) -> list[Detection]:
        return [one for one in self.intel.detections if one.state in _PROMOTED]

    # ------------------------------------------------------------ what was seen

    def _incident(self) -> str:
        case = self.case
        outcome = _DETERMINED.get(case.determination or Determination.SUSPECTED, "")
        hosts = ", ".join(sorted({self.mask.host(host) for host in case.hosts}))
        span = f"from {stix_time(case.first)} to {stix_time(case.last)}"
        seen = f"Seen on {len(case.hosts)} hosts ({hosts}) {span}; {outcome}."
        words = [self.mask.text(case.summary), seen, self.mask.text(case.note)]
        return self.pen.sdo(
            "incident",
            self.key,
            name=self.mask.text(case.title),
            description="\n\n".join(one for one in words if one.strip()),
            labels=[f"severity-{case.severity.casefold()}", f"determination-{case.determination}"],
            external_references=[technique_reference(one) for one in case.technique_ids],
            **self._core(),
        )

    def _core(self) -> Stix:
        """The Incident Core extension, for those who want it."""
        if not self.intel.style.incident_core:
            return {}
        determination = self.case.determination or Determination.SUSPECTED
        confirmed = determination is Determination.CONFIRMED
        core = {
            "extension_type": "property-extension",
            "determination": self.intel.style.confirmed_as if confirmed else determination.value,
            "investigation_status": "closed",
            "detection_methods": ["human-review"],
        }
        return {"extensions": {INCIDENT_CORE: core}}

    def _observed(self) -> tuple[str, list[str]]:
        accounts = [Observable(type="user", value=name) for name in self.case.accounts]
        scos = observable_objects([*self.case.observables, *accounts], self.mask)
        if not scos:
            return "", []
        names = [self.pen.observable(one) for one in scos]
        observed = self.pen.sdo(
            "observed-data",
            self.key,
            first_observed=stix_time(self.case.first),
            last_observed=stix_time(self.case.last),
            number_observed=self._count(),
            object_refs=names,
        )
        return observed, names

    def _sighting(self, seen: str, observed: str) -> str:
        """We saw the behaviour, and what our rule describes; not an actor: that is attribution."""
        return self.pen.sro(
            "sighting",
            (self.key, seen),
            self._level_of(seen),
            description="Seen in our own telemetry.",
            first_seen=stix_time(self.case.first),
            last_seen=stix_time(self.case.last),
            count=self._count(),
            sighting_of_ref=seen,
            **({"observed_data_refs": [observed]} if observed else {}),
            where_sighted_refs=[self.pen.identity],
        )

    def _count(self) -> int:
        return min(max(len(self.case.events), 1), MAX_COUNT)

    # ------------------------------------------------------------ what finds it

    def _rule(self, detection: Detection) -> str:
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
            valid_from=self.pen.created,
            external_references=[technique_reference(one) for one in detection.technique_ids],
        )

    def _atomics(self) -> list[str]:
        """Indicators of the single values that are worth looking for elsewhere."""
        return [
            self.pen.sdo(
                "indicator",
                (self.key, one.pattern),
                name=one.name,
                description="Seen in a closed incident.",
                indicator_types=["malicious-activity"],
                pattern=one.pattern,
                pattern_type="stix",
                pattern_version="2.1",
                valid_from=self.pen.created,
                **(
                    {"valid_until": stix_time(self.intel.created + timedelta(days=one.days))}
                    if one.days
                    else {}
                ),
            )
            for one in atomics(self.case.observables, self.mask, self.lists)
        ]

    def _of_indicator(self, indicator: str, incident: str, observed: str) -> list[str]:
        relations = [self.pen.relate("based-on", indicator, observed)] if observed else []
        return [*relations, self.pen.relate("related-to", indicator, incident)]

    def _advice(self, one: Advice, indicators: Iterable[str], relations: list[str]) -> str:
        """How to make the trace visible; it helps to look into the rules that feed on it."""
        name = self.pen.sdo(
            "course-of-action",
            ("visible", one.technique_id, one.key),
            name=one.name,
            description=one.text,
            external_references=[technique_reference(one.technique_id)],
        )
        relations += [self.pen.relate("investigates", name, to) for to in indicators]
        return name

    # ------------------------------------------------------------ what IR said

    def _named(self, ref: NamedRef) -> str:
        """The object of a name: the one that intel has, else our own."""
        if ref.stix_id:
            return ref.stix_id
        family = {"is_family": True} if ref.type == "malware" else {}
        return self.pen.sdo(ref.type, ("named", ref.name.casefold()), name=ref.name, **family)

    def _level_of(self, name: str) -> Tlp:
        """The level of what names an object that may not be ours."""
        named = {one.stix_id: one.tlp for one in self.intel.stated if one.stix_id}
        return tightest([self.pen.tlp, named.get(name, Tlp.CLEAR)], self.pen.tlp)

    def _attribution(
        self,
        named: dict[str, NamedRef],
        patterns: Collection[str],
        indicators: Collection[str],
        incident: str,
    ) -> list[str]:
        """How what IR named hangs together, as far as the standard has a word for it."""
        by_type: dict[str, list[str]] = {}
        for name, ref in named.items():
            by_type.setdefault(ref.type, []).append(name)
        things = [*by_type.get("malware", []), *by_type.get("tool", [])]
        campaigns, actors = by_type.get("campaign", []), by_type.get("intrusion-set", [])
        pairs = [("related-to", incident, one) for one in named]
        pairs += [("indicates", one, aim) for one in indicators for aim in named]
        pairs += [("attributed-to", one, actor) for one in campaigns for actor in actors]
        who = campaigns or actors
        pairs += [("uses", one, thing) for one in who for thing in (*patterns, *things)]
        if not who:
            malware, tools = by_type.get("malware", []), by_type.get("tool", [])
            pairs += [("uses", one, pattern) for one in malware for pattern in patterns]
            pairs += [("uses", pattern, one) for one in tools for pattern in patterns]
        return [
            self.pen.relate(kind, a, b, tightest([self._level_of(a), self._level_of(b)], Tlp.RED))
            for kind, a, b in pairs
        ]

    def _notes(self, incident: str) -> list[str]:
        window = self.intel.window
        span = f"Hunted from {stix_time(window.start)} to {stix_time(window.end)}."
        notes = [
            self.pen.sdo(
                "note",
                self.key,
                abstract="How it was found, and how much could be seen",
                content=self.mask.text(f"{span} {self.intel.power}".strip()),
                object_refs=[incident],
            )
        ]
        if self.intel.style.gaps and self.intel.blind:
            notes.append(
                self.pen.sdo(
                    "note",
                    (self.key, "gaps"),
                    abstract="What could not be seen",
                    content=self.mask.text("\n".join(self.intel.blind)),
                    object_refs=[incident],
                )
            )
        return notes

    # ------------------------------------------------------------ where it comes from

    def _to_sources(self, incident: str) -> list[str]:
        """Relationships to the intel that led here."""
        return [
            self.pen.relate("related-to", incident, source.object_id)
            for source in self._sources()
            if source.object_type != "report"
        ]

    def _derived(self) -> None:
        """Our report is derived from theirs; the standard derives like from like only."""
        report = stix_id("report", self.intel.organisation, self.key)
        for source in self._sources():
            if source.object_type == "report":
                self.pen.relate("derived-from", report, source.object_id)

    def _sources(self) -> list[SourceRef]:
        known = set(self.pen.objects) | {one.stix_id for one in self.intel.techniques}
        known |= {one.stix_id for one in self.intel.stated}
        unique = {
            ref.object_id: ref
            for ref in self.intel.source_refs
            if ref.object_type not in _NO_ENDPOINT and ref.object_id not in known
        }
        return [unique[name] for name in sorted(unique)]

    def _report(self, refs: Iterable[str]) -> None:
        self.pen.sdo(
            "report",
            self.key,
            name=self.mask.text(self.case.title),
            description=self.mask.text(self.case.summary) or self.mask.text(self.case.title),
            report_types=["observed-data", "indicator"],
            published=self.pen.created,
            object_refs=list(dict.fromkeys(refs)),
        )
