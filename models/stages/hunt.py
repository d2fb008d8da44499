"""Hunt: look for one hypothesis in one window, and judge what came back. Stores nothing."""

from dataclasses import dataclass

from huntonce.models.analytics.asking import Setting
from huntonce.models.errors import DomainError
from huntonce.models.gap import Gap
from huntonce.models.hunt import Check
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.hunting import Looked, conclude, evaluate, interesting
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.outcome import decide
from huntonce.models.rulehunt import corroborated
from huntonce.models.stages.asking import add_context, baseline_for, records_for
from huntonce.models.stages.choosing import (
    definitions_for,
    logic_of,
    model_for,
    needed_definition,
)
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight
from huntonce.models.stages.proof import Probes
from huntonce.models.surfacing import Asking, surface
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntResult:
    """What a hunt saw and says, before it is settled in the store.

    Attributes:
        logic: Version of all that was hunted by, received rules included.
    """

    hypothesis: Hypothesis
    definition: HuntDefinition
    logic: str
    window: Window
    sight: Sight
    gaps: tuple[Gap, ...]
    checks: tuple[Check, ...]
    looked: Looked
    verdict: Verdict
    why: str


def prepare(
    kit: Kit, hypothesis: Hypothesis, window: Window, probes: Probes | None = None
) -> tuple[Sight, tuple[Gap, ...]]:
    """What can be seen, and the gaps in the way: known before a single query of the hunt runs.

    ``probes`` hold what was measured already for several hunts of a turn.

    Raises:
        DomainError: No evidence model or hunt is known for the technique.
    """
    model = model_for(kit, hypothesis.technique_id)
    if model is None:
        raise DomainError(
            f"no evidence model for {hypothesis.technique_id}",
            hint=f"known: {', '.join(sorted(kit.library.evidence))}",
        )
    sight = (probes or Probes(kit)).sight(model, window)
    return sight, gaps_of(kit, sight, hypothesis)


def gaps_of(kit: Kit, sight: Sight, hypothesis: Hypothesis) -> tuple[Gap, ...]:
    """The gaps that a hypothesis waits on, as far as a sight shows them."""
    asking = Asking(
        siem=kit.siem.name,
        hypothesis_key=hypothesis.key,
        behaviour=hypothesis.technique_id,
        window=sight.window,
        owner=kit.profile.gap_owner,
        owners=sight.estate.owners if sight.estate is not None else {},
        refused=sight.refused,
        mute=sight.estate.silent if sight.estate is not None else (),
    )
    return surface(sight.model, sight.probes, asking)


def hunt(kit: Kit, hypothesis: Hypothesis, sight: Sight, gaps: tuple[Gap, ...]) -> HuntResult:
    """Run the hunt of a technique over the window that was probed.

    Raises:
        DomainError: No hunt is written for the technique and no rule is tagged with it.
    """
    technique_id = hypothesis.technique_id
    definition = needed_definition(kit, technique_id)
    definitions = definitions_for(kit, technique_id)
    checks: list[Check] = []
    looked = _look(kit, hypothesis, definition, sight, checks)
    for beside in definitions[1:]:
        looked = _with_rules(looked, _look(kit, hypothesis, beside, sight, checks))
    verdict, why = decide(sight.power, looked.findings, checks, floor=kit.policy.power_floor)
    return HuntResult(
        hypothesis=hypothesis,
        definition=definition,
        logic=logic_of(definitions),
        window=sight.window,
        sight=sight,
        gaps=gaps,
        checks=tuple(checks),
        looked=looked,
        verdict=verdict,
        why=why,
    )


def _look(
    kit: Kit, hypothesis: Hypothesis, definition: HuntDefinition, sight: Sight, checks: list[Check]
) -> Looked:
    """What one of a technique's hunts finds."""
    technique_id, window = hypothesis.technique_id, sight.window
    today = kit.clock().date()
    records = records_for(kit, definition, technique_id, window, checks)
    setting = _setting(kit, definition, technique_id, sight)
    evaluate(records, definition, setting, today)
    standing = interesting(records, definition)
    add_context(kit, definition, standing, window, checks)
    allowed = evaluate(records, definition, setting, today)
    return conclude(
        records,
        allowed,
        definition,
        hypothesis_key=hypothesis.key,
        technique_id=technique_id,
    )


def _with_rules(looked: Looked, by_rules: Looked) -> Looked:
    """A written hunt's answer together with that of the received rules beside it."""
    findings = [*corroborated(looked.findings, by_rules.findings), *by_rules.findings]
    doubted = {ref.uid for finding in by_rules.findings for ref in finding.events}
    return Looked(
        records=looked.records + by_rules.records,
        patterns=looked.patterns + by_rules.patterns,
        allowed=looked.allowed,
        findings=tuple(sorted(findings, key=lambda f: (-f.score, f.first, f.entity))),
        benign=tuple(ref for ref in looked.benign if ref.uid not in doubted),
    )


def _setting(kit: Kit, definition: HuntDefinition, technique_id: str, sight: Sight) -> Setting:
    population = len(sight.population)
    found = baseline_for(kit, definition, sight.window, kit.clock().date())
    if found is None:
        return Setting(profile=kit.profile, population=population)
    window, words = found
    asked: list[Check] = []
    before = records_for(kit, definition, technique_id, window, asked)
    if not any(check.executed for check in asked):
        # Nothing of it arrived then: all would be new, and nothing would follow from that.
        return Setting(profile=kit.profile, population=population)
    return Setting(profile=kit.profile, population=population, before=before, baseline=words)
