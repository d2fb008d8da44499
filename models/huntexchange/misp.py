"""MISP events that carry a hunt: HUNT-EX tags and the ``threat-hunt-*`` and ``sigma`` objects.

Vocabulary: taxonomy hunt-ex v4, object templates v1 (uuid and version are those of the templates:
MISP drops an object whose template it does not know). Portable logic is a ``sigma`` object with a
``tests`` reference to the hypothesis, as the template of ``threat-hunt-query`` asks. The event also
holds the hunt.md, from which an import gets the definition back as it was.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

from huntonce.models.content_files import MAX_BYTES
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.huntexchange.document import sigma_of
from huntonce.models.huntexchange.draft import Query, SharedHunt, decoded
from huntonce.models.huntexchange.huntmd import from_huntmd, to_huntmd
from huntonce.models.ids import stable_uuid

MAX_EVENT = 8 * MAX_BYTES
MAX_OBJECTS = 2000
SUFFIX = ".hunt.md"
_TEMPLATES = {
    "threat-hunt-context": (
        "6dec94ff-b74b-4cab-ad38-3d3c8308bdb3", "threat-hunting", "What the hunt is and why.",
    ),
    "threat-hunt-hypothesis": (
        "4136cd18-3edd-49fb-90ba-24cbacacc662", "threat-hunting", "What the hunt supposes.",
    ),
    "sigma": ("aa21a3cd-ab2c-442a-9999-a5e6626591ec", "misc", "A search of the hunt as Sigma."),
}  # fmt: skip
_TAGS = (
    'hunt-ex:content="hypothesis"',
    'hunt-ex:content="query"',
    'hunt-ex:query-language="sigma"',
    'hunt-ex:telemetry="endpoint"',
    'hunt-ex:methodology="structured-hypothesis-driven"',
)


def to_misp(hunt: HuntDefinition) -> dict[str, Any]:
    """A definition as a MISP event, for one's own organisation only until somebody widens it."""
    context = _object(hunt, "threat-hunt-context", "", [
        ("hunt-title", "text", hunt.title),
        ("purpose", "text", " ".join(hunt.abnormal.split())),
        ("methodology", "text", "structured-hypothesis-driven"),
        ("status", "text", "Recurring"),
        *(("data-source", "text", source) for source in dict.fromkeys(map(_source, hunt.searches))),
        *((("contributor", "text", hunt.author),) if hunt.author else ()),
    ])  # fmt: skip
    hypothesis = _object(hunt, "threat-hunt-hypothesis", "", [
        ("hypothesis-id", "text", "H1"),
        ("hypothesis", "text", " ".join(hunt.hypothesis.split())),
        ("scope", "text", "In-Scope"),
        ("status", "text", "Not Started"),
        *(("attack-id", "text", technique) for technique in hunt.techniques),
    ])  # fmt: skip
    rules = [
        _object(hunt, "sigma", search.name, [
            ("sigma", "sigma", sigma_of(hunt, search)),
            ("sigma-rule-name", "text", f"{hunt.title}: {search.name}"),
        ])
        for search in hunt.searches
    ]  # fmt: skip
    for rule in rules:
        rule["ObjectReference"] = [{
            "uuid": str(stable_uuid("misp reference", rule["uuid"])),
            "object_uuid": rule["uuid"],
            "referenced_uuid": hypothesis["uuid"],
            "relationship_type": "tests",
        }]  # fmt: skip
    source = base64.b64encode(to_huntmd(hunt).encode()).decode()
    attached = _attribute(hunt, "", "attachment", f"{hunt.name}{SUFFIX}", "External analysis")
    links = [_attribute(hunt, "", "link", link, "External analysis") for link in hunt.references]
    return {
        "Event": {
            "uuid": str(stable_uuid("misp event", hunt.id)),
            "info": hunt.title,
            "distribution": "0",
            "threat_level_id": "4",
            "analysis": "0",
            "published": False,
            "Tag": [{"name": tag} for tag in _TAGS],
            "Attribute": [{**attached, "data": source}, *links],
            "Object": [context, hypothesis, *rules],
        }
    }


def _source(search: Any) -> str:  # noqa: ANN401 - a search
    return " ".join(str(part) for part in search.logsource.values())


def _object(
    hunt: HuntDefinition, template: str, key: str, values: list[tuple[str, str, str]]
) -> dict[str, Any]:
    template_uuid, category, description = _TEMPLATES[template]
    return {
        "uuid": str(stable_uuid("misp object", hunt.id, template, key)),
        "name": template,
        "meta-category": category,
        "description": description,
        "template_uuid": template_uuid,
        "template_version": "1",
        "Attribute": [
            {
                **_attribute(hunt, f"{template} {key}", kind, value),
                "object_relation": relation,
            }
            for relation, kind, value in values
        ],
        "ObjectReference": [],
    }


def _attribute(
    hunt: HuntDefinition, within: str, kind: str, value: str, category: str = "Other"
) -> dict[str, Any]:
    return {
        "uuid": str(stable_uuid("misp attribute", hunt.id, within, kind, value)),
        "type": kind,
        "category": "Payload installation" if kind == "sigma" else category,
        "value": value,
        "to_ids": False,
        "disable_correlation": True,
    }


def from_misp(data: bytes) -> SharedHunt:
    """The hunt of a MISP event: the hunt.md that it carries, else what its objects say.

    Raises:
        DomainError: It is too large, is no event, or has no hypothesis of a hunt.
    """
    event = _event(decoded(data, MAX_EVENT))
    attached = _attached(event)
    if attached is not None:
        return from_huntmd(attached)
    objects = list(_objects(event))
    supposed = [values for name, values in objects if name == "threat-hunt-hypothesis"]
    context = next((v for name, v in objects if name == "threat-hunt-context"), {})
    if not supposed:
        raise DomainError("the event holds no threat-hunt-hypothesis and no hunt.md")
    ignored = [f"hypothesis: {_one(other, 'hypothesis')}" for other in supposed[1:]]
    known = {"threat-hunt-hypothesis", "threat-hunt-context", "threat-hunt-query", "sigma"}
    ignored += [f"object {name}" for name in sorted({name for name, _ in objects} - known)]
    return SharedHunt(
        title=_one(context, "hunt-title") or _text(event.get("info")),
        hypothesis=_one(supposed[0], "hypothesis"),
        techniques=tuple(value.upper() for value in supposed[0].get("attack-id", ())),
        about=_one(context, "purpose"),
        author=", ".join(context.get("contributor", ())),
        references=tuple(_values(event.get("Attribute"), "link")),
        queries=tuple(_query(name, values) for name, values in objects
                      if name in {"sigma", "threat-hunt-query"}),
        ignored=tuple(ignored),
    )  # fmt: skip


def _event(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DomainError("no MISP event: it is not JSON") from error
    if isinstance(document, dict) and isinstance(document.get("response"), list):
        answers = document["response"]
        document = answers[0] if len(answers) == 1 else None
    event = document.get("Event") if isinstance(document, dict) else None
    if not isinstance(event, dict):
        raise DomainError("no MISP event: one Event is wanted")
    return event


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _items(value: object) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else []
    return [item for item in found[:MAX_OBJECTS] if isinstance(item, dict)]


def _values(attributes: object, kind: str) -> list[str]:
    return [_text(a.get("value")) for a in _items(attributes) if a.get("type") == kind]


def _attached(event: Mapping[str, Any]) -> bytes | None:
    for item in _items(event.get("Attribute")):
        if item.get("type") == "attachment" and _text(item.get("value")).endswith(SUFFIX):
            try:
                return base64.b64decode(_text(item.get("data")), validate=True) or None
            except (binascii.Error, ValueError) as error:
                raise DomainError("its hunt.md is not base64") from error
    return None


def _objects(event: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    for item in _items(event.get("Object")):
        values: dict[str, list[str]] = {}
        for attribute in _items(item.get("Attribute")):
            relation, value = _text(attribute.get("object_relation")), attribute.get("value")
            values.setdefault(relation, []).append(_text(value))
        yield _text(item.get("name"))[:80], values


def _one(values: Mapping[str, list[str]], relation: str) -> str:
    return next(iter(values.get(relation, ())), "")


def _query(name: str, values: Mapping[str, list[str]]) -> Query:
    if name == "sigma":
        title = _one(values, "sigma-rule-name") or "sigma"
        return Query(name=title, language="sigma", text=_one(values, "sigma"))
    language = _one(values, "query-language").casefold()
    return Query(name=_one(values, "comment") or "query", language=language,
                 text=_one(values, "query"))  # fmt: skip
