"""ATT&CK Navigator layers, format 4.5: what intel claims, what was hunted, what stands guard."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from huntonce.models.hypothesis import HypothesisState, Verdict
from huntonce.models.report.views import HypothesisView
from huntonce.models.report.words import VERDICTS, count, percent, some

DOMAIN = "enterprise-attack"
VERSIONS = {"navigator": "5.3.2", "layer": "4.5"}
# Okabe and Ito's, as on the report; the legend says what each means.
_COLOURS: Mapping[Verdict, str] = {
    Verdict.CONFIRMED_MALICIOUS: "#d55e00",
    Verdict.CONFIRMED_BENIGN: "#cccccc",
    Verdict.RULED_OUT: "#56b4e9",
    Verdict.INCONCLUSIVE: "#f0e442",
    Verdict.BLOCKED: "#e69f00",
}
_FIRST = (
    Verdict.CONFIRMED_MALICIOUS,
    Verdict.BLOCKED,
    Verdict.INCONCLUSIVE,
    Verdict.CONFIRMED_BENIGN,
    Verdict.RULED_OUT,
)
"""Which verdict speaks for a technique of which several hypotheses were hunted."""
_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """How scores become colours.

    Attributes:
        colours: From the lowest to the highest score.
        legend: Colour to what it means.
    """

    colours: tuple[str, ...]
    highest: float
    legend: Mapping[str, str]


def layer_of(
    name: str, description: str, techniques: Iterable[Mapping[str, Any]], ink: Ink, *, attack: str
) -> dict[str, Any]:
    """A layer; tactics are left out, since their names changed in ATT&CK 19."""
    return {
        "name": name[:_LIMIT],
        "versions": {"attack": attack.partition(".")[0], **VERSIONS},
        "domain": DOMAIN,
        "description": description,
        "filters": {"platforms": ["Windows"]},
        "sorting": 3,
        "hideDisabled": False,
        "techniques": list(techniques),
        "gradient": {"colors": list(ink.colours), "minValue": 0, "maxValue": ink.highest},
        "legendItems": [{"label": text, "color": colour} for colour, text in ink.legend.items()],
        "layout": {
            "layout": "side",
            "showAggregateScores": False,
            "expandedSubtechniques": "annotated",
        },
    }


def layers(
    views: Sequence[HypothesisView], *, organisation: str, today: date, attack: str
) -> Mapping[str, dict[str, Any]]:
    """Layers of intel, hunts and detections by their name; a technique without any is left out."""
    groups: dict[str, list[HypothesisView]] = defaultdict(list)
    for view in views:
        if view.hypothesis.state is not HypothesisState.SUPERSEDED:
            groups[view.hypothesis.technique_id].append(view)
    when = f"{organisation}, {today.isoformat()}"
    claimed = [_claimed(technique, group) for technique, group in groups.items()]
    most = max((item["score"] for item in claimed), default=1)
    return {
        "intel": layer_of(
            f"Intel: {when}",
            "Sources that claim a technique. The score is their number.",
            [item for item in claimed if item["score"]],
            Ink(
                colours=("#deebf7", "#00588f"),
                highest=max(1, most),
                legend={"#deebf7": "one source", "#00588f": f"{max(1, most)} sources"},
            ),
            attack=attack,
        ),
        "hunts": layer_of(
            f"Hunts: {when}",
            "What the last hunt of each technique ended with. The score is the share of "
            "host-hours in percent in which all needed evidence would have been seen. Techniques "
            "without a colour were never hunted: nothing is known of them.",
            [item for t, group in groups.items() if (item := _hunted(t, group)) is not None],
            Ink(
                colours=("#ffffff", "#56b4e9"),
                highest=100,
                legend={colour: VERDICTS[verdict] for verdict, colour in _COLOURS.items()},
            ),
            attack=attack,
        ),
        "detections": layer_of(
            f"Detections: {when}",
            "Detections of a technique that stand guard: promoted, certified, scheduled, and their "
            "evidence arrives. The score is their number; 0 where some are promoted and none can "
            "be relied on.",
            [item for t, group in groups.items() if (item := _guarded(t, group)) is not None],
            Ink(
                colours=("#d55e00", "#00588f"),
                highest=1,
                legend={"#d55e00": "promoted, does not stand guard", "#00588f": "stands guard"},
            ),
            attack=attack,
        ),
    }


def _claimed(technique: str, group: Sequence[HypothesisView]) -> dict[str, Any]:
    sources = {source.object_id for view in group for source in view.hypothesis.sources}
    actors = sorted({actor for view in group for actor in view.hypothesis.actors})
    words = f"{count(len(sources), 'source')}" + (f": {some(actors)}" if actors else "")
    return _technique(technique, len(sources), words, group)


def _hunted(technique: str, group: Sequence[HypothesisView]) -> dict[str, Any] | None:
    """The worst verdict of its hypotheses; what could not be looked at comes after what was found.

    None where no hunt was concluded.
    """
    runs = [view.last for view in group if view.last is not None and view.last.verdict is not None]
    if not runs:
        return None
    run = min(runs, key=lambda one: _FIRST.index(one.verdict or Verdict.BLOCKED))
    verdict = run.verdict or Verdict.BLOCKED
    power = run.power.value if run.power is not None else 0.0
    words = f"{run.id}: {VERDICTS[verdict]}, {percent(power)} seen"
    made = _technique(technique, round(power * 100, 1), words, group)
    return {**made, "color": _COLOURS[verdict]}


def _guarded(technique: str, group: Sequence[HypothesisView]) -> dict[str, Any] | None:
    guards = [guard for view in group for guard in view.guards if guard.promoted]
    if not guards:
        return None
    standing = [guard.detection_id for guard in guards if guard.stands]
    broken = [f"{g.detection_id}: {', '.join(g.faults())}" for g in guards if not g.stands]
    words = "; ".join([*([f"{some(standing)} stand guard"] if standing else []), *broken])
    return _technique(technique, len(standing), words, group)


def _technique(
    technique: str, score: float, words: str, group: Sequence[HypothesisView]
) -> dict[str, Any]:
    ids = [view.hypothesis.id for view in group]
    return {
        "techniqueID": technique,
        "score": score,
        "comment": words[:_LIMIT],
        "enabled": True,
        "metadata": [{"name": "hypotheses", "value": some(ids, 8)}],
    }
