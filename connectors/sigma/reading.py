"""Rule files as compiled documents: plain data that a cache can keep as JSON."""

from collections.abc import Mapping
from typing import Any

import orjson
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaLogSource, SigmaRule, SigmaRuleBase

from huntonce.connectors.sigma.compiling import Placeholders, compile_detections
from huntonce.connectors.sigma.correlations import read_correlation
from huntonce.connectors.sigma.ir import encode
from huntonce.connectors.sigma.logsource import variants
from huntonce.connectors.sigma.rules import load_documents, logsource_of
from huntonce.models.errors import DomainError

_FAULTS = (SigmaError, ValueError, TypeError, AttributeError, KeyError, RecursionError)

Document = dict[str, Any]


def compile_text(text: str, source: str, placeholders: Placeholders) -> list[Document]:
    """One document for each rule, correlation or filter of a YAML text, and for each fault.

    ``kind`` is "rule", "correlation", "filter" or "fault"; a fault has a ``reason``.
    """
    try:
        documents = load_documents(text)
    except DomainError as error:
        return [_fault({}, source, str(error))]
    return [_compile(document, source, placeholders) for document in documents]


def _compile(  # noqa: PLR0911 - one kind of document after another
    document: object, source: str, placeholders: Placeholders
) -> Document:
    if not isinstance(document, dict):
        return _fault({}, source, "the YAML is not a mapping")
    try:
        if "correlation" in document:
            return _correlation(document, source)
        if "filter" in document:
            return _filter(document, source, placeholders)
        if document.get("action") is not None:
            return _fault(document, source, "action documents are not supported")
        return _rule(document, source, placeholders)
    except DomainError as error:
        return _fault(document, source, str(error))
    except _FAULTS as error:
        return _fault(document, source, " ".join(str(error).split()) or type(error).__name__)


def _rule(document: Mapping[str, Any], source: str, placeholders: Placeholders) -> Document:
    rule = SigmaRule.from_dict(dict(document))
    variants(logsource_of(rule))
    condition = compile_detections(rule.detection, placeholders)
    return {
        "kind": "rule",
        **_head(rule, source),
        "logsource": _logsource(rule.logsource),
        "form": orjson.dumps(encode(condition)).decode(),
    }


def _filter(document: Mapping[str, Any], source: str, placeholders: Placeholders) -> Document:
    found = SigmaFilter.from_dict(dict(document))
    condition = compile_detections(found.filter, placeholders)
    rules = found.filter.rules
    return {
        "kind": "filter",
        **_head(found, source),
        "logsource": _logsource(found.logsource),
        "rules": None if isinstance(rules, str) else [item.reference for item in rules],
        "form": orjson.dumps(encode(condition)).decode(),
    }


def _correlation(document: Mapping[str, Any], source: str) -> Document:
    said = read_correlation(document)
    rule = SigmaCorrelationRule.from_dict(dict(document))
    head = _head(rule, source)
    if rule.id is None:  # several correlations of one file may have none
        head["id"] = f"{source} {head['name'] or head['title']}"
    return {"kind": "correlation", **head, **said}


def _head(rule: SigmaRuleBase, source: str) -> Document:
    return {
        "id": str(rule.id or "") or source,
        "name": str(rule.name or ""),
        "title": str(rule.title or ""),
        "level": rule.level.name.lower() if rule.level is not None else "",
        "author": str(rule.author or ""),
        "source": source,
    }


def _logsource(source: SigmaLogSource) -> list[str]:
    return [
        str(value or "").strip().lower()
        for value in (source.category, source.product, source.service)
    ]


def _fault(document: Mapping[Any, Any], source: str, reason: str) -> Document:
    return {
        "kind": "fault",
        "id": str(document.get("id", "")),
        "title": str(document.get("title", "")),
        "source": source,
        "reason": reason,
    }
