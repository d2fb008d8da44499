"""Choosing: by which hunt a technique is hunted: one written for it, else by the rules tagged."""

from collections.abc import Iterable

from huntonce.models.errors import DomainError
from huntonce.models.evidence import EvidenceModel
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.ids import digest
from huntonce.models.rulehunt import definition_of
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.received import received_rules, received_version


def definition_for(kit: Kit, technique_id: str) -> HuntDefinition | None:
    """The hunt of a technique; None where none is written and no rule, ours or others', is here."""
    return next(iter(definitions_for(kit, technique_id)), None)


def definitions_for(kit: Kit, technique_id: str) -> tuple[HuntDefinition, ...]:
    """All that a technique is hunted by: the written hunt, if any, and the hunt by rules, if any.

    Beside a written hunt only the rules that others sent are run: those of our folders stand in
    where none is written.
    """
    written = kit.library.hunt_for(technique_id)
    tagged = kit.rulebook.version(technique_id) if kit.rulebook and written is None else ""
    received = received_version(kit, technique_id)
    version = digest(tagged, received)[:16] if tagged and received else tagged or received
    by_rules = definition_of(technique_id, kit.catalogue.name(technique_id), version)
    return (*((written,) if written else ()), *((by_rules,) if version else ()))


def logic_of(definitions: Iterable[HuntDefinition]) -> str:
    """The version of a technique's hunt as a whole, for the ledger; "" where there is none."""
    return "+".join(one.version for one in definitions)


def model_for(kit: Kit, technique_id: str) -> EvidenceModel | None:
    """What a technique leaves: as written for it, else for its hunt, else as derived."""
    own = kit.library.evidence.get(technique_id)
    written = kit.library.hunt_for(technique_id)
    if written is None or (own is not None and own.curated):
        return own
    return kit.library.evidence.get(written.evidence) or own


def models_for(kit: Kit, technique_ids: Iterable[str]) -> dict[str, EvidenceModel]:
    """Technique id to its model, for those that have one; derived ones too."""
    found = {each: model_for(kit, each) for each in technique_ids}
    return {each: model for each, model in found.items() if model is not None}


def needed_definition(kit: Kit, technique_id: str) -> HuntDefinition:
    """The same, where there must be one.

    Raises:
        DomainError: There is none; says what is missing.
    """
    found = definition_for(kit, technique_id)
    if found is not None:
        return found
    name = kit.catalogue.name(technique_id)
    if kit.rulebook is None:
        raise DomainError(
            f"no hunt is written for {technique_id} {name}, and no folder of Sigma rules is set",
            hint="write one (huntonce hunts new), or name rule folders in [sigma] rules",
        )
    raise DomainError(
        f"no hunt is written for {technique_id} {name}, and no rule is tagged with it",
        hint="write one: huntonce hunts new",
    )


def huntable(kit: Kit) -> frozenset[str]:
    """Techniques for which a hunt is written, a rule is tagged or a rule was received."""
    written = {t for hunt in kit.library.hunts for t in hunt.techniques}
    received = {t for rule in received_rules(kit) for t in rule.techniques}
    tagged = kit.rulebook.techniques() if kit.rulebook else frozenset[str]()
    return frozenset(written | received | tagged)
