"""Explaining: what a person may ask about, found in the store. Imports no Prefect."""

from huntonce.flows.bootstrap import Home
from huntonce.models.attack_types import Outcome
from huntonce.models.errors import DomainError
from huntonce.models.metrics.records import Records
from huntonce.models.report.explain import Explainer, Explanation
from huntonce.models.report.programme import records_of

REPORTED = " As reported: "
"""Where the part of a statement begins that quotes its source."""


def explained(home: Home, target: str) -> tuple[str, tuple[Explanation, ...]]:
    """What the target is, and the chain of each hypothesis it concerns; the first to stop first.

    Raises:
        DomainError: Nothing is known by that name.
    """
    with home.store.unit() as unit:
        records = records_of(unit, now=home.clock())
    explainer = Explainer(
        records,
        floor=home.settings.policy.power_floor,
        huntable=lambda technique: home.library.hunt_for(technique) is not None,
    )
    name = target.strip()
    key = _hypothesis_of(records, name)
    if key is not None:
        title, wanted = key
        found = next((h for h in records.hypotheses if h.key == wanted), None)
        if found is None:
            raise DomainError(f"{title} belongs to no hypothesis that is stored")
        return f"{title}: {found.statement.partition(REPORTED)[0]}"[:300], (
            explainer.hypothesis(found),
        )
    by_actor = explainer.actor(name)
    if by_actor:
        return f"{name}: {len(by_actor)} hypotheses", by_actor
    resolved = home.catalogue.resolve(name)
    if resolved.outcome is Outcome.UNKNOWN or not resolved.id:
        raise DomainError(
            f"nothing is known of {name[:60]!r}",
            hint="name a technique (T1053.005), an actor, H-1, CASE-1, D-1 or a rule's id",
        )
    title = f"{resolved.id} {home.catalogue.name(resolved.id)}"
    return title, explainer.technique(resolved.id, home.catalogue.name(resolved.id))


def _hypothesis_of(records: Records, name: str) -> tuple[str, str] | None:
    """What a name stands for and the key of its hypothesis; None where it is no such thing."""
    asked = name.upper()
    for hypothesis in records.hypotheses:
        if hypothesis.id == asked:
            return f"{hypothesis.id} {hypothesis.technique_id}", hypothesis.key
    for case in records.cases:
        if case.id in {asked, asked.replace("C-", "CASE-")}:
            return f"{case.id} {case.title}", case.hypothesis_key
    for detection in records.detections:
        if asked == detection.id or name.casefold() == detection.rule_id.casefold():
            return f"{detection.id} {detection.title}", detection.hypothesis_key
    for run in records.hunts:
        if run.id == asked:
            return run.id, run.hypothesis_key
    return None
