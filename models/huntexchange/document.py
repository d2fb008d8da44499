"""A hunt definition as the document that it is read from, and the Sigma rules of its searches."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from huntonce.models.content_files import checked
from huntonce.models.content_hunts import TASKS, hunt_of
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import AllowEntry, FactRule, HuntDefinition, HuntSearch
from huntonce.models.ids import stable_uuid

_PLAIN = (
    "name", "id", "version", "title", "author", "scope", "hypothesis", "evidence", "records",
    "entity", "baseline", "abnormal",
)  # fmt: skip


def document_of(hunt: HuntDefinition) -> dict[str, Any]:
    """The document that ``hunt_of`` makes this definition of.

    Entries of allow files are left out: they are about one company's hosts and people, and stay
    with it. What the hunt itself allows is kept.
    """
    document: dict[str, Any] = {name: getattr(hunt, name) for name in _PLAIN if getattr(hunt, name)}
    document["techniques"] = list(hunt.techniques)
    document["cluster"] = list(hunt.cluster)
    document["malicious_at"], document["suspicious_at"] = hunt.malicious_at, hunt.suspicious_at
    for part in ("references", "triage", "context"):
        if getattr(hunt, part):
            document[part] = list(getattr(hunt, part))
    if hunt.merge:
        document["merge"] = [_lists(asdict(item)) for item in hunt.merge]
    document["searches"] = [_search(item, hunt.records) for item in hunt.searches]
    document["analytics"] = [_lists(asdict(item)) for item in hunt.analytics]
    document["allow"] = [_entry(item) for item in hunt.allow if not item.hunts]
    document["detections"] = [_lists(asdict(item)) for item in hunt.detections]
    return document


def withheld(hunt: HuntDefinition) -> int:
    """How many allow entries ``document_of`` leaves out."""
    return sum(bool(item.hunts) for item in hunt.allow)


def _lists(value: Any) -> Any:  # noqa: ANN401 - any value of a document
    if isinstance(value, Mapping):
        return {str(key): _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _entry(item: AllowEntry) -> dict[str, Any]:
    told = {"name": item.name, "when": dict(item.when), "owner": item.owner, "reason": item.reason}
    return {**told, "expires": item.expires} if item.expires else told


def _search(item: HuntSearch, records: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": item.name,
        "logsource": dict(item.logsource),
        "detection": _lists(item.detection),
    }
    if item.fields:
        told["fields"] = list(item.fields)
    if records != TASKS:
        told["as"] = item.view
        if item.facts:
            told["facts"] = {name: _fact(rule) for name, rule in item.facts.items()}
    if item.role:
        told["role"] = item.role
    return told


def _fact(rule: FactRule) -> dict[str, Any]:
    told = {"from": list(rule.fields), "match": rule.match, "form": rule.form,
            "joined": rule.joined, "text": rule.text}  # fmt: skip
    return {name: value for name, value in told.items() if value}


def definition_of(document: object) -> HuntDefinition:
    """The definition of a document that came from outside.

    Raises:
        DomainError: It is none that the schema allows, or its parts do not fit each other.
    """
    return hunt_of(checked(text_of(document), "hunt", ours=False))


def text_of(document: object) -> str:
    """A document as YAML.

    Raises:
        DomainError: It holds what YAML has no plain form for.
    """
    try:
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    except yaml.YAMLError as error:
        raise DomainError(f"not a plain document: {error}") from error


def sigma_of(hunt: HuntDefinition, search: HuntSearch) -> str:
    """A search as a Sigma rule."""
    rule: dict[str, Any] = {
        "title": f"{hunt.title}: {search.name}",
        "id": str(stable_uuid("hunt search", hunt.id, search.name)),
        "status": "experimental",
        "logsource": dict(search.logsource),
        "detection": _lists(search.detection),
    }
    if search.fields:
        rule["fields"] = list(search.fields)
    return text_of(rule)
