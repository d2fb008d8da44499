"""Sigma rules of others, as text: read like the rules of a folder, but each alone and shorter."""

from typing import Any

from huntonce.connectors.sigma.pack import RulePack, assemble
from huntonce.connectors.sigma.reading import compile_text
from huntonce.connectors.sigma.rules import load_documents
from huntonce.models.errors import DomainError
from huntonce.models.ids import digest
from huntonce.models.rules import RuleText

MAX_RECEIVED = 131_072
"""Longest rule taken from others, in characters; a rule as people write it has a few thousand."""
_MAX_WORDS = 50


def read_rule(text: str) -> RuleText:
    """A rule of others; where it cannot be run, its fault says why. Nothing is raised.

    One text is one rule. Correlations and filters are refused: they speak of rules that whoever
    sends them cannot know to be here.
    """
    if len(text) > MAX_RECEIVED:
        return _faulty(text, {}, f"it is longer than {MAX_RECEIVED} characters")
    try:
        documents = load_documents(text)
    except DomainError as error:
        return _faulty(text, {}, str(error))
    document = documents[0] if documents and isinstance(documents[0], dict) else {}
    pack = assemble(compile_text(text, "received", {}), 1)
    fault = _fault(pack, len(documents))
    if fault:
        return _faulty(text, document, fault)
    (rule,) = pack.rules
    return RuleText(
        id=rule.id,
        title=rule.title,
        text=text,
        level=rule.level,
        author=rule.author,
        falsepositives=_words(document.get("falsepositives")),
        tags=rule.tags,
        fingerprint=rule.fingerprint,
    )


def _fault(pack: RulePack, documents: int) -> str:
    if pack.unsupported:
        return pack.unsupported[0].reason
    if documents != 1 or len(pack.rules) != 1 or pack.rules[0].filters:
        return f"expected one Sigma rule, found {documents} documents"
    return ""


def _faulty(text: str, document: dict[Any, Any], fault: str) -> RuleText:
    title = document.get("title")
    return RuleText(
        id="",
        title=title if isinstance(title, str) else "",
        text="",
        tags=tuple(word.lower() for word in _words(document.get("tags"))),
        fingerprint=digest("not run", text),
        fault=fault,
    )


def _words(value: object) -> tuple[str, ...]:
    listed = value[:_MAX_WORDS] if isinstance(value, list) else []
    return tuple(word for word in listed if isinstance(word, str))
