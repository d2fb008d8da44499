"""The one loader of content: hunts and evidence, ours and a user's, checked against their schema."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonschema import Draft202012Validator

from huntonce.models.analytics.questions import ANALYTICS, pattern
from huntonce.models.errors import DomainError
from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel, Remedy
from huntonce.models.huntdef import (
    AllowEntry,
    AnalyticSpec,
    DetectionTemplate,
    HuntDefinition,
    HuntSearch,
)
from huntonce.models.setaside import InputKind, SetAside

MAX_BYTES = 1_048_576
T = TypeVar("T")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The hunts and evidence models at hand, and what could not be read of them."""

    hunts: tuple[HuntDefinition, ...]
    evidence: Mapping[str, EvidenceModel]
    set_aside: tuple[SetAside, ...]

    def hunt(self, name: str) -> HuntDefinition | None:
        """By name."""
        return next((hunt for hunt in self.hunts if hunt.name == name), None)

    def hunt_for(self, technique_id: str) -> HuntDefinition | None:
        """The first that is about a technique."""
        return next((hunt for hunt in self.hunts if technique_id in hunt.techniques), None)


def load_library(folders: Iterable[Path] = ()) -> Library:
    """Shipped hunts and evidence, then those of the user's folders; a later name replaces.

    A folder may hold ``hunts/*.yml`` and ``evidence/*.yml``. What is wrong is set aside with
    file, line and reason; the rest is loaded.
    """
    hunts: dict[str, HuntDefinition] = {}
    evidence: dict[str, EvidenceModel] = {}
    refused: list[SetAside] = []
    shipped = files("huntonce.content")
    roots: list[Traversable] = [shipped, *folders]
    for root in roots:
        for item in _yaml_files(root / "evidence"):
            model = _load(item, "evidence", _evidence, refused)
            if model is not None:
                evidence[model.technique_id] = model
        for item in _yaml_files(root / "hunts"):
            hunt = _load(item, "hunt", _hunt, refused)
            if hunt is not None:
                hunts[hunt.name] = hunt
    return Library(
        hunts=tuple(hunts[name] for name in sorted(hunts)),
        evidence=evidence,
        set_aside=tuple(refused),
    )


def _yaml_files(folder: Traversable) -> list[Traversable]:
    if not folder.is_dir():
        return []
    found = [item for item in folder.iterdir() if item.name.endswith((".yml", ".yaml"))]
    return sorted(found, key=lambda item: item.name)


def _load(
    item: Traversable, schema: str, build: Callable[[Any], T], refused: list[SetAside]
) -> T | None:
    try:
        text = item.read_bytes()
        if len(text) > MAX_BYTES:
            raise DomainError(f"larger than {MAX_BYTES} bytes")
        return build(_checked(text.decode(), schema))
    except (DomainError, yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        mark = getattr(error, "problem_mark", None)
        refused.append(
            SetAside(
                kind=InputKind.HUNT,
                source=item.name,
                place=f"line {mark.line + 1}" if mark is not None else "whole file",
                reason=str(error).replace("\n", " "),
                hint="huntonce hunts check FILE says what the format wants",
            )
        )
        return None


def check_hunt(path: Path) -> HuntDefinition:
    """A hunt definition from a file.

    Raises:
        DomainError: With the place and the reason.
    """
    refused: list[SetAside] = []
    hunt = _load(path, "hunt", _hunt, refused)
    if hunt is None:
        raise DomainError(f"{path}: {refused[0].place}: {refused[0].reason}")
    return hunt


@cache
def _validator(schema: str) -> Draft202012Validator:
    text = (files("huntonce.content") / "schema" / f"{schema}.schema.json").read_text()
    return Draft202012Validator(json.loads(text))


def _checked(text: str, schema: str) -> Any:  # noqa: ANN401 - YAML is any until it is checked
    document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
    for error in _validator(schema).iter_errors(document):
        place = "/".join(str(part) for part in error.absolute_path) or "top level"
        raise DomainError(f"{place}: {error.message}")
    return document


def _hunt(data: Any) -> HuntDefinition:  # noqa: ANN401 - checked against the schema
    analytics = tuple(AnalyticSpec(**item) for item in data["analytics"])
    for spec in analytics:
        if spec.type not in ANALYTICS:
            raise DomainError(f"analytics/{spec.name}: unknown type {spec.type!r}")
    allow = tuple(AllowEntry(**item) for item in data.get("allow", ()))
    for entry in allow:
        for expression in entry.when.values():
            pattern(expression)
    simple = {
        name: data[name]
        for name in (
            "name",
            "id",
            "version",
            "title",
            "scope",
            "hypothesis",
            "evidence",
            "records",
            "abnormal",
            "malicious_at",
            "suspicious_at",
            "author",
        )
        if name in data
    }
    return HuntDefinition(
        **simple,
        techniques=tuple(data["techniques"]),
        references=tuple(data.get("references", ())),
        triage=tuple(data.get("triage", ())),
        searches=tuple(
            HuntSearch(**{**item, "fields": tuple(item["fields"])}) for item in data["searches"]
        ),
        analytics=analytics,
        allow=allow,
        detections=tuple(
            DetectionTemplate(
                **{
                    **item,
                    "needs": tuple(item["needs"]),
                    "falsepositives": tuple(item["falsepositives"]),
                }
            )
            for item in data.get("detections", ())
        ),
    )


def _evidence(data: Any) -> EvidenceModel:  # noqa: ANN401 - checked against the schema
    sources = {source["id"]: source for source in data["sources"]}
    groups = []
    for group in data["groups"]:
        atoms = []
        for atom in group["atoms"]:
            source = sources.get(atom["source"])
            if source is None:
                raise DomainError(f"{atom['id']}: no source {atom['source']!r}")
            remedy = source["remedy"]
            atoms.append(
                Atom(
                    **{
                        **atom,
                        "event_ids": tuple(atom["event_ids"]),
                        "fields": tuple(atom.get("fields", ())),
                        "siblings": tuple(atom.get("siblings", ())),
                    },
                    off_by_default=source.get("off_by_default", False),
                    remedy=Remedy(text=remedy["text"], commands=tuple(remedy.get("commands", ()))),
                )
            )
        groups.append(
            EvidenceGroup(name=group["name"], required=group["required"], atoms=tuple(atoms))
        )
    return EvidenceModel(
        technique_id=data["technique"],
        version=data["version"],
        provenance=data["provenance"],
        groups=tuple(groups),
    )
