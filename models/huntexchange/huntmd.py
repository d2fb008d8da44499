"""hunt.md: a hunt as Markdown, with YAML in front and fenced queries.

Format: hunt.md 0.6 (frontmatter name, hypothesis, labels ``attack.tNNNN``, references, provenance;
a step is a heading with one fenced block whose first word is its language). Ours carry the whole
definition below ``huntonce``, which other readers pass over, and each search as a Sigma step. What
flows between steps (decisions, agents, actions, parameters) has no place in a definition.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from huntonce.models.content_files import MAX_BYTES, bounded
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.huntexchange.document import document_of, sigma_of, text_of
from huntonce.models.huntexchange.draft import Query, SharedHunt, decoded, name_of, plain

LANGUAGES = frozenset(
    {
        "sigma", "kql", "kusto", "spl", "esql", "eql", "esdsl", "aql", "xql", "cql", "sql",
        "mysql", "sqlite", "osquery", "cypher", "kestrel", "yara", "yara-l", "stix", "suricata",
        "snort", "shell", "bash", "powershell", "python", "pseudocode",
    }
)  # fmt: skip
"""Languages of a step that asks something; other blocks do or judge something."""
_KNOWN = {"name", "type", "hypothesis", "labels", "references", "provenance", "rationale", "hunt",
          "targets", "huntonce"}  # fmt: skip
_LABEL = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)")
_FENCE = re.compile(r"(`{3,})[ \t]*([\w.-]*)")
MAX_STEPS = 500


def to_huntmd(hunt: HuntDefinition) -> str:
    """A definition as hunt.md."""
    front: dict[str, Any] = {
        "type": "investigation",
        "name": hunt.title,
        "hypothesis": " ".join(hunt.hypothesis.split()),
        "labels": ["hunt", *(f"attack.{t.casefold()}" for t in hunt.techniques)],
        "hunt": {"methodology": "structured-hypothesis-driven"},
        "targets": {
            "logs": {"category": "siem", "name": f"{hunt.scope} event logs",
                     "telemetry": ["endpoint"]},
            "analyst": {"name": "Analyst", "role": "analyst"},
        },
        "rationale": " ".join(hunt.abnormal.split()),
    }  # fmt: skip
    if hunt.references:
        front["references"] = [{"name": link, "url": link} for link in hunt.references]
    if hunt.author:
        front["provenance"] = {"authors": [{"name": hunt.author}]}
    front["huntonce"] = {"definition": document_of(hunt)}
    parts = [f"---\n{text_of(front)}---\n", f"# {_sentence(hunt.title)}\n"]
    slugs: set[str] = set()
    for search in hunt.searches:
        slug = _slug(search.name, slugs)
        parts.append(f"## {slug}\n{_fenced('sigma target=logs', sigma_of(hunt, search))}")
    if hunt.triage:
        steps = "".join(f"- {plain(step)}\n" for step in hunt.triage)
        parts.append(f"## {_slug('triage', slugs)}\n{_fenced('manual target=analyst', steps)}")
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return plain(text) or "Hunt"


def _slug(name: str, taken: set[str]) -> str:
    slug = name_of(name)
    while slug in taken:
        slug += "-x"
    taken.add(slug)
    return slug


def _fenced(head: str, text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{head}\n{text.rstrip()}\n{fence}\n"


def from_huntmd(data: bytes) -> SharedHunt:
    """What a hunt.md file says.

    Raises:
        DomainError: It is too large, or has no YAML in front.
    """
    text = decoded(data, MAX_BYTES).replace("\r\n", "\n")
    head, _, rest = text.partition("\n")
    front_text, end, body = rest.partition("\n---\n")
    if head.strip() != "---" or not end:
        raise DomainError("no hunt.md: it does not begin with YAML between two lines of ---")
    try:
        front = bounded(front_text)
    except (yaml.YAMLError, RecursionError) as error:
        raise DomainError(f"its YAML cannot be read: {plain(str(error))[:300]}") from error
    if not isinstance(front, dict):
        raise DomainError("no hunt.md: what stands in front holds no names")
    queries, ignored = _steps(body)
    own = front.get("huntonce")
    strange = sorted(set(front) - _KNOWN)
    if strange:
        ignored.insert(0, "not taken over: " + ", ".join(plain(key)[:60] for key in strange[:40]))
    whole = own.get("definition") if isinstance(own, dict) else None
    return SharedHunt(
        title=_text(front.get("name")),
        hypothesis=_text(front.get("hypothesis")),
        techniques=tuple(
            found[1].upper()
            for label in _list(front.get("labels"))
            if (found := _LABEL.fullmatch(_text(label).casefold()))
        ),
        about=_text(front.get("rationale")),
        author=", ".join(_named(item) for item in _authors(front.get("provenance"))),
        references=tuple(_link(item) for item in _list(front.get("references"))),
        queries=tuple(queries),
        own=whole,
        ignored=() if whole is not None else tuple(ignored),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _authors(value: object) -> list[object]:
    return _list(value.get("authors")) if isinstance(value, Mapping) else []


def _named(item: object) -> str:
    return _text(item.get("name")) if isinstance(item, Mapping) else _text(item)


def _link(item: object) -> str:
    return _text(item.get("url")) if isinstance(item, Mapping) else _text(item)


def _steps(body: str) -> tuple[list[Query], list[str]]:
    queries, others = [], []
    for number, (name, language, text) in enumerate(_blocks(body)):
        if number >= MAX_STEPS:
            others.append(f"steps after the first {MAX_STEPS}")
            break
        if language in LANGUAGES:
            queries.append(Query(name=name, language=language, text=_without_attributes(text)))
        else:
            others.append(f"step {plain(name)[:60]}: {plain(language)[:40] or 'text'} has no place")
    return queries, others


def _blocks(body: str) -> Iterator[tuple[str, str, str]]:
    """Heading, language and text of each fenced block; an open one ends with the file."""
    name, fence, language, held = "", "", "", [""]
    for line in body.split("\n"):
        if fence:
            if line.strip() == fence:
                yield name, language, "\n".join(held)
                fence = ""
            else:
                held.append(line)
        elif (found := _FENCE.match(line)) is not None:
            fence, language, held = found[1], found[2].casefold(), []
        elif line.startswith("##"):
            name = line.lstrip("#").strip()
    if fence:
        yield name, language, "\n".join(held)


def _without_attributes(text: str) -> str:
    """The query itself, without the ``~~~yaml`` block that may stand before it."""
    head, _, rest = text.partition("\n")
    if not head.strip().startswith("~~~"):
        return text
    _, end, query = rest.partition("\n~~~\n")
    return query if end else text
