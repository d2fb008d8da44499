"""Sigma rules as they are written: parsed, and checked without the network."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule
from sigma.validation import SigmaValidator
from sigma.validators.base import SigmaRuleValidator, SigmaValidationIssueSeverity
from sigma.validators.core import validators as core_validators

from huntonce.connectors.sigma.logsource import variants
from huntonce.models.attack import Catalogue
from huntonce.models.attack_tags import tag_faults
from huntonce.models.content_files import bound_depth
from huntonce.models.errors import DomainError
from huntonce.models.query import SigmaSearch

MAX_RULE_TEXT = 1_048_576
"""Longest rule file read, in characters."""

MAX_RULE_NODES = 100_000
"""Most values of a rule after YAML aliases are followed: an alias bomb ends here."""

MAX_RULE_DEPTH = 400
"""Deepest nesting of a rule: far deeper would end the process inside the parser."""

_NETWORK_VALIDATORS = frozenset({"attacktag", "d3_fendtag"})
_ATTACK_TAG = re.compile(r"\Aattack\.(?:[tgs]\d{4}(?:\.\d{3})?|[a-z]+(?:-[a-z]+)*)\Z")
_SEARCH_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFault:
    """A rule that could not be read, and why."""

    source: str
    rule_id: str
    title: str
    reason: str


def parse_rules(
    text: str, *, source: str = ""
) -> tuple[tuple[SigmaRule, ...], tuple[RuleFault, ...]]:
    """Rules of a YAML text, Sigma filters in it applied, and the faults of those not taken.

    Correlation rules are faults: no connector here runs them.
    """
    try:
        documents = load_documents(text)
    except DomainError as error:
        return (), (RuleFault(source=source, rule_id="", title="", reason=str(error)),)
    kept, faults = _sort_out(documents, source)
    if not kept:
        return (), tuple(faults)
    try:
        collection = SigmaCollection.from_dicts(kept)
    except (SigmaError, ValueError, TypeError, AttributeError, KeyError) as error:
        return (), (*faults, _fault(kept[0], source, str(error)))
    return tuple(rule for rule in collection.rules if isinstance(rule, SigmaRule)), tuple(faults)


def parse_rule(text: str, *, source: str = "") -> SigmaRule:
    """The one rule of a YAML text (Sigma filters beside it are applied).

    Raises:
        DomainError: It holds no rule, more than one, or one with faults.
    """
    rules, faults = parse_rules(text, source=source)
    if faults:
        raise DomainError(faults[0].reason, hint=f"correct the rule {faults[0].title!r}".strip())
    if len(rules) != 1:
        raise DomainError(f"expected one Sigma rule, found {len(rules)}")
    return rules[0]


def search_rule(search: SigmaSearch) -> SigmaRule:
    """A search as the Sigma rule it stands for.

    Raises:
        DomainError: Its detection is not one.
    """
    document = {
        "title": search.name[:255] or "search",
        "id": _SEARCH_ID,
        "logsource": dict(search.logsource),
        "detection": _plain(search.detection),
    }
    try:
        return SigmaRule.from_dict(document)
    except (SigmaError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise DomainError(f"not a Sigma detection: {error}") from error


def logsource_of(rule: SigmaRule) -> dict[str, str | None]:
    """Category, product and service of a rule, and whatever else its log source names."""
    source = rule.logsource
    others = dict.fromkeys(source.custom_attributes or {}, "")
    known = {"category": source.category, "product": source.product, "service": source.service}
    return {**others, **known}


def validate_rule(text: str, catalogue: Catalogue | None = None) -> tuple[str, ...]:
    """What is wrong with a rule, in words; empty where nothing is.

    pySigma's own checks of medium and high weight, but for those that need the network. ATT&CK
    tags are checked against a catalogue, where one is given: names of ATT&CK v18 and v19 both
    pass, invented ones do not. Without one they are checked for their form only.
    """
    rules, faults = parse_rules(text)
    if faults:
        return tuple(fault.reason for fault in faults)
    found: list[str] = [] if rules else ["it holds no rule"]
    for rule in rules:
        found += _condition_faults(rule)
        found += _tag_faults(rule, catalogue) + _logsource_faults(rule) + _validator_faults(rule)
    return tuple(dict.fromkeys(found))


def load_documents(text: str) -> list[Any]:
    """The documents of a YAML text, bounded in size.

    Raises:
        DomainError: It is no YAML, or too large.
    """
    if len(text) > MAX_RULE_TEXT:
        raise DomainError(f"the rule is longer than {MAX_RULE_TEXT} characters")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        bound_depth(text, MAX_RULE_DEPTH)
        documents = list(yaml.load_all(text, Loader=loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DomainError(f"not YAML: {' '.join(str(error).split())}") from error
    _bound(documents)
    return [document for document in documents if document is not None]


def _bound(documents: list[Any]) -> None:
    left, stack = MAX_RULE_NODES, list(documents)
    while stack:
        node = stack.pop()
        left -= 1
        if left < 0:
            raise DomainError(f"the rule holds more than {MAX_RULE_NODES} values")
        if isinstance(node, dict):
            stack += [*node, *node.values()]
        elif isinstance(node, list):
            stack += node


def _sort_out(
    documents: Sequence[Any], source: str
) -> tuple[list[dict[str, Any]], list[RuleFault]]:
    kept: list[dict[str, Any]] = []
    faults: list[RuleFault] = []
    for document in documents:
        if not isinstance(document, dict):
            faults.append(_fault({}, source, "the YAML is not a mapping"))
        elif "correlation" in document:
            faults.append(_fault(document, source, "correlation rules are not supported"))
        else:
            kept.append(document)
    return kept, faults


def _fault(document: Mapping[str, Any], source: str, reason: str) -> RuleFault:
    return RuleFault(
        source=source,
        rule_id=str(document.get("id", "")),
        title=str(document.get("title", "")),
        reason=reason,
    )


def _plain(value: object) -> object:
    """Mappings and sequences as the dicts and lists that pySigma tells apart by type."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _condition_faults(rule: SigmaRule) -> list[str]:
    try:
        for condition in rule.detection.parsed_condition:
            _ = condition.parsed
    except (SigmaError, ValueError, TypeError, RecursionError) as error:
        return [f"the condition cannot be read: {error}"]
    return []


def _tag_faults(rule: SigmaRule, catalogue: Catalogue | None) -> list[str]:
    tags = [str(tag) for tag in rule.tags]
    malformed = [
        f"tag {tag!r} is not an ATT&CK tactic, technique, group or software"
        for tag in tags
        if tag.startswith("attack.") and not _ATTACK_TAG.match(tag)
    ]
    if malformed or catalogue is None:
        return malformed
    return list(tag_faults(tags, catalogue))


def _logsource_faults(rule: SigmaRule) -> list[str]:
    try:
        variants(logsource_of(rule))
    except DomainError as error:
        return [str(error)]
    return []


def _validator_faults(rule: SigmaRule) -> list[str]:
    try:
        issues = _offline_validator().validate_rule(rule)
    except (SigmaError, ValueError, TypeError, AttributeError, KeyError) as error:
        return [f"it cannot be checked further: {' '.join(str(error).split())}"]
    return [
        f"{type(issue).__name__.removesuffix('Issue')}: {issue.description}"
        for issue in issues
        if issue.severity != SigmaValidationIssueSeverity.LOW
    ]


def _offline_validator() -> SigmaValidator:
    classes: list[type[SigmaRuleValidator]] = [
        validator for name, validator in core_validators.items() if name not in _NETWORK_VALIDATORS
    ]
    return SigmaValidator(classes)
