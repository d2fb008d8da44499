"""Promote: from findings to detections with a certificate, by running them over the history."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import yaml

from huntonce.models.detecting import applicable, logic_sha256, rule_id, sigma_rule
from huntonce.models.detection import Certificate, Detection, DetectionState, Fixture
from huntonce.models.errors import ConnectorError
from huntonce.models.finding import Disposition, Finding
from huntonce.models.generalising import Generalised, generalise, kinds_of
from huntonce.models.huntdef import DetectionTemplate
from huntonce.models.intel import SourceRef
from huntonce.models.keeping import UnitOfWork
from huntonce.models.query import EVENT_COLUMNS, SigmaSearch
from huntonce.models.stages.hunt import HuntResult
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.proofbench import Claim, around
from huntonce.models.stages.proving import (
    Proof,
    history,
    known_evil,
    prove,
    replay,
    tried,
)
from huntonce.models.tlp import Tlp
from huntonce.models.windows import Window

if TYPE_CHECKING:
    from huntonce.models.behaviours import Row

_LEVELS = ("critical", "high", "medium", "low", "informational")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Detections that hold, the events kept with them, and why other patterns have none."""

    detections: tuple[Detection, ...]
    not_automated: tuple[str, ...]
    fixtures: dict[str, tuple[Fixture, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A rule for a pattern, and what the replay says of it.

    Attributes:
        certificate: Of the replay alone.
    """

    template: DetectionTemplate
    claim: Claim
    certificate: Certificate

    @property
    def holds(self) -> bool:
        return self.certificate.holds

    def finds(self, finding: Finding) -> bool:
        """Whether it fires on any event of a finding."""
        uids = {ref.uid for ref in finding.events}
        return any(ref.uid in uids for ref in self.certificate.fixtures)

    @property
    def preference(self) -> tuple[int, float, int, str]:
        """Fewest false alerts first, then most of its events, then the gravest."""
        certificate = self.certificate
        return (
            certificate.benign_hits,
            -certificate.fired / max(1, certificate.expected),
            _LEVELS.index(self.template.level),
            self.template.title,
        )


def promote(kit: Kit, result: HuntResult) -> Promotion:
    """Offer every pattern of a hunt as a detection; keep those whose certificate holds.

    For each malicious finding the rule that finds the most of it with the fewest false alerts
    wins; one rule may serve several findings. Where no template of the hunt gives one, a rule is
    made of what the finding's events share.
    """
    if not any(f.disposition is Disposition.MALICIOUS for f in result.looked.findings):
        return Promotion(detections=(), not_automated=())
    return _Promoting(kit, result).run()


class _Promoting:
    """One promotion."""

    def __init__(self, kit: Kit, result: HuntResult) -> None:
        self._kit = kit
        self._result = result
        found = result.looked.findings
        self._evil = [f for f in found if f.disposition is Disposition.MALICIOUS]
        self._others = [f for f in found if f.disposition is not Disposition.MALICIOUS]
        self._elsewhere = known_evil(kit, found)
        self._window = _replayed(kit, result.window)
        self._tried: dict[str, _Candidate] = {}
        self._proofs: dict[str, Proof] = {}

    def run(self) -> Promotion:
        chosen: dict[str, _Candidate] = {}
        reasons: list[str] = []
        for finding in self._evil:
            best, why = self._best(finding)
            if best is None:
                reasons.append(f"{finding.title}: {why}")
            else:
                chosen[best.template.name] = best
        detections, fixtures = [], {}
        for candidate in chosen.values():
            proof = self._proofs[candidate.template.name]
            detection = self._detection(candidate, proof.certificate)
            detections.append(detection)
            fixtures[detection.rule_id] = proof.fixtures
        return Promotion(
            detections=tuple(detections), not_automated=tuple(reasons), fixtures=fixtures
        )

    def _best(self, finding: Finding) -> tuple[_Candidate | None, str]:
        """The rule for a finding whose whole proof holds; or why there is none."""
        candidates = [
            self._candidate(template, self._targets(template))
            for template in applicable(finding, self._result.definition)
        ]
        told = [c for c in candidates if not (c.holds and c.finds(finding))]
        faults = [_told(candidate) for candidate in told]
        best = self._proven([c for c in candidates if c not in told], faults)
        if best is not None:
            return best, ""
        for made in self._generalised(finding):
            if made.template is None:
                faults.append(made.reason)
                continue
            candidate = self._candidate(made.template, [finding])
            if not (candidate.holds and candidate.finds(finding)):
                faults.append(_told(candidate))
                continue
            best = self._proven([candidate], faults)
            if best is not None:
                return best, ""
        return None, " | ".join(faults) or "no detection template of the hunt fits its pattern"

    def _proven(self, candidates: Sequence[_Candidate], faults: list[str]) -> _Candidate | None:
        """The best of them whose whole proof holds; the others' faults are noted."""
        for candidate in sorted(candidates, key=lambda one: one.preference):
            name = candidate.template.name
            if name not in self._proofs:
                self._proofs[name] = prove(self._kit, candidate.claim)
            certificate = self._proofs[name].certificate
            if certificate.holds:
                return candidate
            faults.append(f"{candidate.template.title}: {'; '.join(certificate.faults)}")
        return None

    def _targets(self, template: DetectionTemplate) -> list[Finding]:
        definition = self._result.definition
        return [f for f in self._evil if template in applicable(f, definition)]

    def _candidate(self, template: DetectionTemplate, targets: Sequence[Finding]) -> _Candidate:
        if template.name in self._tried:
            return self._tried[template.name]
        rule, filters = self._rule(template)
        spared = [f for f in self._evil if f not in targets]
        claim = Claim(
            rule=rule,
            window=self._window,
            logic_version=self._result.definition.version,
            filters=filters,
            targets=tuple(targets),
            spared=(*spared, *self._others, *self._elsewhere),
            benign=self._result.looked.benign,
            benign_events=len(self._result.looked.benign),
        )
        certificate = tried(self._kit, claim, replay(self._kit, claim))
        candidate = _Candidate(template=template, claim=claim, certificate=certificate)
        self._tried[template.name] = candidate
        return candidate

    # ------------------------------------------------------------ rules

    def _rule(self, template: DetectionTemplate) -> tuple[str, tuple[str, ...]]:
        """The template's rule and the filters beside it: as stored, where nothing has changed."""
        kit, result = self._kit, self._result
        today = kit.clock().date()
        # Every technique that the rule is tagged with needs its tactics beside it.
        tactics = kit.catalogue.tactics_of(result.definition.techniques)

        def written(first: date, modified: date | None) -> str:
            return sigma_rule(
                template,
                result.definition,
                tactics=tactics,
                references=links,
                author=kit.policy.rule_author,
                today=first,
                modified=modified,
            )

        with kit.open_unit() as unit:
            stored = unit.detections.by_key(rule_id(result.definition, template))
            links = references(unit, result.hypothesis.sources)
        if stored is None:
            return written(today, None), ()
        document = yaml.safe_load(stored.rule)
        first = date.fromisoformat(str(document["date"]))
        fresh = logic_sha256(written(first, None))
        away = stored.origin.get("set_aside")  # people went back from it, or adopted another
        if fresh == logic_sha256(stored.rule) or (isinstance(away, list | tuple) and fresh in away):
            return stored.rule, stored.filters
        return written(first, today), stored.filters

    def _generalised(self, finding: Finding) -> Iterator[Generalised]:
        """What the finding's events give, for each kind of event in it."""
        kinds = kinds_of(finding)
        if not kinds:
            yield Generalised(
                template=None, reason="no rule can be made of the kinds of its events"
            )
        if self._kit.try_out is None:
            return
        try:
            bodies = self._kit.siem.originals(finding.core)
        except ConnectorError as error:
            yield Generalised(template=None, reason=f"its events could not be read: {error}")
            return
        span = around(finding.core)
        bench = self._kit.try_out(list(bodies.values()))
        for kind in kinds:
            search = SigmaSearch(
                name=kind.subject,
                logsource=kind.logsource,
                detection={
                    "selection": {"EventID": list(kind.event_ids)},
                    "condition": "selection",
                },
                fields=kind.fields,
            )
            table = bench.search(search, span).table if span is not None else None
            rows: list[Row] = []
            if table is not None:
                own = table.drop_columns([name for name, _ in EVENT_COLUMNS]).to_pylist()
                rows = [{name: value or "" for name, value in row.items()} for row in own]
            yield generalise(kind, rows)

    def _detection(self, candidate: _Candidate, certificate: Certificate) -> Detection:
        result, template = self._result, candidate.template
        definition = result.definition
        return Detection(
            rule_id=rule_id(definition, template),
            title=template.title,
            technique_ids=(result.hypothesis.technique_id,),
            hypothesis_key=result.hypothesis.key,
            hunt_name=definition.name,
            analytic=template.name,
            level=template.level,
            rule=candidate.claim.rule,
            atoms=_atoms(certificate, result),
            state=DetectionState.EXPERIMENTAL,
            certificate=certificate,
            filters=candidate.claim.filters,
            since=self._window.end,
            origin={
                "hunt": definition.name,
                "hunt_id": definition.id,
                "version": definition.version,
                "title": definition.title,
                "pattern": template.name,
                "hypothesis": result.hypothesis.statement,
                "fingerprint": result.hypothesis.key,
                "technique": result.hypothesis.technique_id,
                "searches": [
                    {
                        "name": search.name,
                        "logsource": dict(search.logsource),
                        "detection": dict(search.detection),
                    }
                    for search in definition.searches
                ],
            },
        )


def _replayed(kit: Kit, wanted: Window) -> Window:
    try:
        return history(kit, wanted) or wanted
    except ConnectorError:
        return wanted


def _told(candidate: _Candidate) -> str:
    faults = "; ".join(candidate.certificate.faults) or "does not find this one"
    return f"{candidate.template.title}: {faults}"


def _atoms(certificate: Certificate, result: HuntResult) -> tuple[str, ...]:
    """Atoms of the model that the rule's hits came from."""
    kinds = {(ref.channel, ref.event_id) for ref in certificate.fixtures}
    return tuple(
        atom.id
        for atom in result.sight.model.atoms
        if any((atom.channel, event_id) in kinds for event_id in atom.event_ids)
    )


_SHAREABLE = (Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER)
_MOST_LINKS = 8


def references(unit: UnitOfWork, sources: Sequence[SourceRef]) -> tuple[str, ...]:
    """Where the intel behind a rule can be read: its links, and its name where it has none.

    Intel that may not be passed on freely (amber+strict, red) is not named in a rule: rules go to
    repositories and other SIEMs.
    """
    found: dict[str, None] = {}
    for source in sources:
        if source.tlp not in _SHAREABLE:
            continue
        stored = unit.intel.get(source.object_id)
        content = stored.content if stored is not None else {}
        listed = content.get("external_references")
        links = [
            str(item["url"])
            for item in (listed if isinstance(listed, list) else [])
            if isinstance(item, dict) and str(item.get("url", "")).startswith("https://")
        ]
        if source.object_type in {"report", "campaign", "intrusion-set", "malware", "indicator"}:
            found.update(dict.fromkeys(links or [f"{source.name} ({source.object_id})"]))
    return tuple(found)[:_MOST_LINKS]
