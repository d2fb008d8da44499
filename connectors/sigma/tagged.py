"""Where Sigma rules look, by the techniques that they are tagged with."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from huntonce.connectors.sigma.ir import And, Atom, Condition, Named, Not, Op, Or, decode
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.models.attack import Catalogue
from huntonce.models.attack_types import normalise
from huntonce.models.errors import DomainError
from huntonce.models.requirements.merging import RuleSource

_ID_FIELDS = frozenset(("eventid", "event_id"))


def rule_sources(
    documents: Iterable[Mapping[str, Any]], catalogue: Catalogue
) -> dict[str, tuple[RuleSource, ...]]:
    """Technique id to the rules tagged with it, from compiled documents (``load_documents``).

    Tags of a newer ATT&CK, and of revoked techniques, count for the technique that stands for them.
    """
    found: dict[str, dict[str, RuleSource]] = {}
    for document in documents:
        if document["kind"] != "rule":
            continue
        techniques = {
            answer.id
            for tag in document["tags"]
            if normalise(tag) and (answer := catalogue.resolve(tag)).usable
        }
        if techniques:
            source = _source(document)
            for technique_id in techniques:
                found.setdefault(technique_id, {})[source.rule_id] = source
    return {technique_id: tuple(rules.values()) for technique_id, rules in found.items()}


def _source(document: Mapping[str, Any]) -> RuleSource:
    category, product, service = document["logsource"]
    try:
        places = variants({"category": category, "product": product, "service": service})
    except DomainError:
        places = ()
    condition = decode(orjson.loads(document["form"])) if places else None
    return RuleSource(
        rule_id=document["id"],
        title=document["title"],
        logsource=" ".join(part for part in (product, category, service) if part),
        product=product,
        places=tuple(_place(variant, condition) for variant in places if condition is not None),
    )


def _place(
    variant: Variant, condition: Condition
) -> tuple[str, tuple[int, ...], tuple[str, ...]]:  # fmt: skip
    atoms = list(_asked(condition))
    ids = [_number(atom.value) for atom in atoms if (atom.field or "").lower() in _ID_FIELDS]
    asked = tuple(sorted({number for number in ids if number}))
    event_ids = variant.event_ids or asked
    if variant.event_ids and asked:
        event_ids = tuple(i for i in variant.event_ids if i in asked) or variant.event_ids
    fields = {
        variant.renames.get(atom.field, atom.field)
        for atom in atoms
        if atom.field and atom.field.lower() not in _ID_FIELDS and atom.op is not Op.NULL
    }
    return variant.channel, event_ids, tuple(sorted(fields))


def _asked(condition: Condition) -> Iterator[Atom]:
    """What a condition asks for; what it forbids is no requirement."""
    match condition:
        case Atom():
            yield condition
        case And(items) | Or(items):
            for item in items:
                yield from _asked(item)
        case Named(_, item):
            yield from _asked(item)
        case Not():
            return


def _number(value: object) -> int:
    try:
        number = int(value) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        return 0
    return number if 0 < number < 65_536 else 0  # noqa: PLR2004 - ids are 16 bit
