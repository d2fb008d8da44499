"""Proof: what newer telemetry shows of the traces that gaps are about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from huntonce.models.evidence import EvidenceModel
from huntonce.models.gap import Gap
from huntonce.models.stages.choosing import models_for
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight, look
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
            kit = self._kit
            self._sights[key] = look(
                kit.siem, model, window, kit.profile, max_lag=kit.policy.max_lag, now=kit.clock()
            )
        return self._sights[key]

    def of(self, gap: Gap, window: Window) -> Answers:
        """What the first model that knows the gap's atom shows of it.

        Models of what waits on the gap come first: a derived one is found by its technique only.
        """
        for model in self._models(gap):
            if all(atom.id != gap.atom_id for atom in model.atoms):
                continue
            probes = self.sight(model, window).probes
            return Answers(
                by_host={p.host: p for p in probes if p.atom_id == gap.atom_id},
                alive=frozenset(p.host for p in probes if p.result not in _SILENT),
            )
        return Answers(by_host={}, alive=frozenset())

    def _models(self, gap: Gap) -> Iterator[EvidenceModel]:
        with self._kit.open_unit() as unit:
            asked = [h for key in gap.unlocks if (h := unit.hypotheses.by_key(key)) is not None]
        techniques = dict.fromkeys(hypothesis.technique_id for hypothesis in asked)
        yield from models_for(self._kit, techniques).values()
        yield from self._kit.library.evidence.values()
