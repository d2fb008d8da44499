"""A hunt that somebody else wrote, as a draft of a definition: what maps, and what does not.

Only Sigma can be searched with. A hunt without weights and context is worth less than one of
ours: each query becomes a search and one reason, and a person has to say what is abnormal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from huntonce.models.content_files import bounded
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.huntexchange.document import definition_of, text_of
from huntonce.models.ids import stable_uuid

MAX_QUERIES = 100
MAX_TEXT = 4000
"""Longest sentence that is taken over."""
TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?")
_LOGSOURCE = ("product", "category", "service")
_LEAST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A step that asks something, in the language that it names (lower case)."""

    name: str
    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHunt:
    """What the formats have in common.

    Attributes:
        own: Our own definition's document, where the file carries it; None in others' files.
        ignored: What of the file has no place here, for a person.
    """

    title: str
    hypothesis: str = ""
    techniques: tuple[str, ...] = ()
    about: str = ""
    author: str = ""
    references: tuple[str, ...] = ()
    queries: tuple[Query, ...] = ()
    own: object = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A definition, its file's text, and what did not map.

    Attributes:
        whole: It is a definition of ours as it was written; otherwise a draft.
    """

    definition: HuntDefinition
    text: str
    whole: bool
    ignored: tuple[str, ...]


def imported(shared: SharedHunt, technique: str = "") -> Imported:
    """The definition that a shared hunt gives.

    Raises:
        DomainError: It names no technique (and none is given), or nothing of it can be searched.
    """
    if shared.own is not None:
        made = definition_of(shared.own)
        return Imported(
            definition=made, text=text_of(shared.own), whole=True, ignored=shared.ignored
        )
    techniques = [t for t in (technique, *shared.techniques) if TECHNIQUE.fullmatch(t)]
    if not techniques:
        raise DomainError(
            "the hunt names no ATT&CK technique", hint="name it: --technique T1053.005"
        )
    searches, ignored = _searches(shared.queries)
    if not searches:
        told = "; ".join(ignored) or "it holds no query"
        raise DomainError(
            f"nothing of the hunt can be searched: {told}",
            hint=f"huntonce hunts new NAME --technique {techniques[0]} begins one by hand",
        )
    document = _document(shared, list(dict.fromkeys(techniques)), searches)
    every = (*shared.ignored, *ignored)
    notes = "".join(f"# {line}\n" for note in every for line in plain(note).splitlines())
    text = (
        "# A draft of a hunt that was imported: say what is abnormal, and what weighs how much.\n"
        f"{notes}{text_of(document)}"
    )
    return Imported(definition=definition_of(document), text=text, whole=False, ignored=every)


def _document(
    shared: SharedHunt, techniques: Sequence[str], searches: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    title = plain(shared.title)[:120] or "Imported hunt"
    hypothesis = plain(shared.hypothesis)
    if len(hypothesis) < _LEAST:
        hypothesis = f"An adversary has done what this hunt is about: {hypothesis or title}"
    name = name_of(title)
    products = [one["logsource"].get("product", "") for one in searches]
    return {
        "name": name,
        "id": str(stable_uuid("imported hunt", title, hypothesis)),
        "version": "1",
        "title": title if len(title) > 2 else f"Hunt {title}",  # noqa: PLR2004
        **({"author": plain(shared.author)[:200]} if plain(shared.author) else {}),
        "techniques": techniques,
        "scope": next(filter(None, products), "windows"),
        "hypothesis": hypothesis,
        "evidence": techniques[0],
        "records": "event",
        "entity": "{rule}",
        "cluster": ["rule"],
        "references": [link for link in map(plain, shared.references) if link][:50],
        "abnormal": plain(shared.about) or "What the queries find and nobody can explain.",
        "searches": list(searches),
        "analytics": [
            {
                "name": "found", "type": "present", "options": {"fact": "rule"}, "weight": 0.5,
                "family": "query", "why": "the imported query {rule} finds it",
            },
            {
                "name": "usual", "type": "common", "weight": -0.6, "family": "usual",
                "options": {"key": ["rule"], "hosts": 5, "share": 0.04, "days": 2},
                "why": "the same query finds something on {common_hosts} hosts over days",
            },
        ],
    }  # fmt: skip


def _searches(queries: Sequence[Query]) -> tuple[list[dict[str, Any]], list[str]]:
    searches: dict[str, dict[str, Any]] = {}
    ignored = []
    for query in queries[:MAX_QUERIES]:
        name = plain(query.name)[:80] or "query"
        if query.language != "sigma":
            ignored.append(
                f"query {name}: {plain(query.language)[:40] or 'no language'}, not Sigma"
            )
            continue
        while name in searches:
            name += "+"
        try:
            searches[name] = _search(name, bounded(query.text))
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            ignored.append(f"query {name}: {plain(str(error))[:200]}")
    if len(queries) > MAX_QUERIES:
        ignored.append(f"{len(queries) - MAX_QUERIES} more queries than {MAX_QUERIES}")
    return list(searches.values()), ignored


def _search(name: str, rule: object) -> dict[str, Any]:
    if not isinstance(rule, dict):
        raise DomainError("it is not a Sigma rule")
    source, detection = rule.get("logsource"), rule.get("detection")
    if not isinstance(source, dict) or not isinstance(detection, dict):
        raise DomainError("a Sigma rule has a logsource and a detection")
    kept = {key: value for key in _LOGSOURCE if isinstance(value := source.get(key), str) and value}
    if not kept or len(detection) <= 1 or not isinstance(detection.get("condition"), str):
        raise DomainError("its logsource, its detection or its condition is missing")
    title = plain(str(rule.get("title") or name))[:120] or name
    view = "process" if kept.get("category") == "process_creation" else "event"
    return {
        "name": name, "as": view, "logsource": kept, "detection": detection,
        "facts": {"rule": {"text": title}},
    }  # fmt: skip


def plain(text: str) -> str:
    """A text on one line without control characters, at most so long."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_TEXT])
    return " ".join(printable.split())[:MAX_TEXT]


def name_of(title: str) -> str:
    """A name that a hunt may have."""
    name = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")[:60].strip("-")
    return name if len(name) > 2 else f"imported-{name or 'hunt'}"  # noqa: PLR2004


def decoded(data: bytes, most: int) -> str:
    """The text of a file.

    Raises:
        DomainError: It is larger than it may be, or is no text.
    """
    if len(data) > most:
        raise DomainError(f"larger than {most} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DomainError("it is not UTF-8 text") from error
