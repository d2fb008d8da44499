"""Proof: what telemetry shows, measured once for all that ask: hunts of a turn, gaps of a watch."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from huntonce.models.evidence import EvidenceModel
from huntonce.models.gap import Gap
from huntonce.models.stages.choosing import models_for
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight, look_for_all
from huntonce.models.visibility import HostProbe, ProbeResult
from huntonce.models.windows import Window

_SILENT = {ProbeResult.MISSING, ProbeResult.UNAVAILABLE, ProbeResult.UNSUPPORTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was measured for one gap.

    Attributes:
        by_host: Host to the answer for the gap's atom; empty where no model knows the atom.
        alive: Hosts that sent anything that the atom's model asks for.
    """

    by_host: Mapping[str, HostProbe]
    alive: frozenset[str]


class Probes:
    """Probes by window and technique, each measured once."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._sights: dict[tuple[Window, str], Sight] = {}

    def sight(self, model: EvidenceModel, window: Window) -> Sight:
        """What can be seen of a technique."""
        key = (window, model.technique_id)
        if key not in self._sights:
            self.together([model], window)
        return self._sights[key]

    def together(self, models: Iterable[EvidenceModel], window: Window) -> None:
        """Measure what of many techniques is not known yet; the SIEM is asked once for all.

        Raises:
            TransientError, ConnectorError: As for ``look_for_all``.
        """
        kit = self._kit
        wanted = {
            model.technique_id: model
            for model in models
            if (window, model.technique_id) not in self._sights
        }
        if not wanted:
            return
        sights = look_for_all(
            kit.siem,
            list(wanted.values()),
            window,
            kit.profile,
            max_lag=kit.policy.max_lag,
            now=kit.clock(),
        )
        self._sights |= {(window, sight.model.technique_id): sight for sight in sights}

    def all_of(self, gaps: Iterable[tuple[Gap, Window]]) -> dict[str, Answers]:
        """Gap id to what was measured for it."""
        asked = [(gap, window, self._model(gap)) for gap, window in gaps]
        for window in dict.fromkeys(window for _, window, _ in asked):
            models = [model for _, span, model in asked if span == window and model is not None]
            self.together(models, window)
        return {gap.id: self._answers(gap, window, model) for gap, window, model in asked}

    def of(self, gap: Gap, window: Window) -> Answers:
        """What is measured for one gap."""
        return self._answers(gap, window, self._model(gap))

    def _answers(self, gap: Gap, window: Window, model: EvidenceModel | None) -> Answers:
        if model is None:
            return Answers(by_host={}, alive=frozenset())
        probes = self.sight(model, window).probes
        return Answers(
            by_host={p.host: p for p in probes if p.atom_id == gap.atom_id},
            alive=frozenset(p.host for p in probes if p.result not in _SILENT),
        )

    def _model(self, gap: Gap) -> EvidenceModel | None:
        """The first model that knows the gap's atom.

        Models of what waits on the gap come first: a derived one is found by its technique only.
        """
        knowing = (m for m in self._models(gap) if any(a.id == gap.atom_id for a in m.atoms))
        return next(knowing, None)

    def _models(self, gap: Gap) -> Iterator[EvidenceModel]:
        with self._kit.open_unit() as unit:
            asked = [h for key in gap.unlocks if (h := unit.hypotheses.by_key(key)) is not None]
        techniques = dict.fromkeys(hypothesis.technique_id for hypothesis in asked)
        yield from models_for(self._kit, techniques).values()
        yield from self._kit.library.evidence.values()
