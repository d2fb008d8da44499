"""Survey: measure everything at once, and surface the gaps before a hunt runs into them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from huntonce.models.gap import Gap
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.stages.choosing import models_for
from huntonce.models.stages.gapkeeping import keep_gap
from huntonce.models.stages.hunt import gaps_of
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import default_window
from huntonce.models.stages.probe import Sight, look_for_all
from huntonce.models.windows import Window

_SURVEYED = frozenset(
    {
        HypothesisState.PROPOSED,
        HypothesisState.READY,
        HypothesisState.BLOCKED,
        HypothesisState.CONCLUDED,
    }
)
_PROBED = "windows"
"""Scope of hypotheses whose traces are probed: the atoms and the population are of Windows."""
_TO_BE_HUNTED = frozenset({HypothesisState.PROPOSED, HypothesisState.READY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What a survey found.

    Attributes:
        sights: Of every technique with a written evidence model or a hypothesis, by its id.
        gaps: That hypotheses wait on or are weakened by, as stored.
        blocked: Ids of hypotheses that could not be looked at, and were put aside until they can.
    """

    window: Window
    sights: tuple[Sight, ...]
    gaps: tuple[Gap, ...]
    blocked: tuple[str, ...]


def survey(kit: Kit, window: Window | None = None) -> Surveyed:
    """Probe all that is written down of evidence, and surface gaps for the hypotheses.

    Of techniques whose evidence is derived only those are probed that a hypothesis is about. A
    hypothesis to be hunted of which no host shows all that it needs is blocked now: a hunt would
    only find that out. One without an evidence model, or about other systems, is left alone.

    Raises:
        DomainError: The SIEM holds nothing.
        TransientError: It did not answer.
    """
    span = window or default_window(kit)
    with kit.open_unit() as unit:
        waiting = [h for h in unit.hypotheses.list() if h.state in _SURVEYED and h.scope == _PROBED]
    asked = models_for(kit, dict.fromkeys(h.technique_id for h in waiting))
    models = {**kit.library.evidence, **{m.technique_id: m for m in asked.values()}}
    sights = look_for_all(
        kit.siem,
        [models[key] for key in sorted(models)],
        span,
        kit.profile,
        max_lag=kit.policy.max_lag,
        now=kit.clock(),
    )
    measured = {sight.model.technique_id: sight for sight in sights}
    by_technique = {each: measured[model.technique_id] for each, model in asked.items()}
    found = _gaps(kit, waiting, by_technique)
    gaps: dict[str, Gap] = {}
    blocked: list[str] = []
    with kit.open_unit() as unit:
        unit.lock()
        for hypothesis in waiting:
            for gap in found.get(hypothesis.key, ()):
                kept = keep_gap(unit, kit, gap, by="a survey", window=span, now=kit.clock())
                gaps[kept.id] = kept
            sight = by_technique.get(hypothesis.technique_id)
            stored = unit.hypotheses.by_key(hypothesis.key)
            if sight is None or stored is None or stored.state not in _TO_BE_HUNTED:
                continue
            if sight.power.value == 0 and found.get(hypothesis.key):
                fresh = replace(stored, state=HypothesisState.BLOCKED)
                why = f"could not look: {sight.power.words}"
                blocked.append(unit.hypotheses.save(fresh, actor=kit.actor, why=why).id)
        unit.commit()
    return Surveyed(
        window=span,
        sights=sights,
        gaps=tuple(gaps[key] for key in sorted(gaps, key=_number)),
        blocked=tuple(blocked),
    )


def _gaps(
    kit: Kit, waiting: list[Hypothesis], sights: Mapping[str, Sight]
) -> dict[str, tuple[Gap, ...]]:
    return {
        h.key: gaps_of(kit, sights[h.technique_id], h) for h in waiting if h.technique_id in sights
    }


def _number(gap_id: str) -> int:
    return int(gap_id.rpartition("-")[2])
