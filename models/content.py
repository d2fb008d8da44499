"""The one loader of content: hunts and evidence, ours and a user's, checked as they are read."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from huntonce.models.analytics.questions import check, pattern
from huntonce.models.detecting import met
from huntonce.models.errors import DomainError
from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel, Remedy
from huntonce.models.huntdef import (
    AllowEntry,
    AnalyticSpec,
    DetectionTemplate,
    HuntDefinition,
    HuntSearch,
)
from huntonce.models.hunting import placeholders
from huntonce.models.setaside import InputKind, SetAside

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MAX_BYTES = 1_048_576
MAX_NODES = 100_000
"""Most values of a file after YAML aliases are followed."""
MAX_REASON = 500
RECORDS = "scheduled_task"
"""The kind of record that hunts are about so far."""
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
            model = _load(item, "evidence", _evidence, refused, ours=root is shipped)
            if model is not None:
                evidence[model.technique_id] = model
        for item in _yaml_files(root / "hunts"):
            hunt = _load(item, "hunt", _hunt, refused, ours=root is shipped)
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
    item: Traversable,
    schema: str,
    build: Callable[[Any], T],
    refused: list[SetAside],
    *,
    ours: bool = False,
) -> T | None:
    try:
        text = item.read_bytes()
        if len(text) > MAX_BYTES:
            raise DomainError(f"larger than {MAX_BYTES} bytes")
        return build(_checked(text.decode(), schema, ours=ours))
    except (ValueError, yaml.YAMLError, RecursionError, OSError) as error:
        refused.append(
            SetAside(
                kind=InputKind.HUNT,
                source=str(item) if isinstance(item, Path) else item.name,
                place=_place(error),
                reason=" ".join(str(error).split()),
                hint="huntonce hunts check FILE says what the format wants",
            )
        )
        return None


class _PlacedError(DomainError):
    """What is wrong at one place of a file."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


def _place(error: BaseException) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}"
    return error.place if isinstance(error, _PlacedError) else "whole file"


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Says of a fault where in the file it is."""
    try:
        yield
    except ValueError as error:
        raise _PlacedError(place, str(error)) from error


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
def _validator(schema: str) -> "Draft202012Validator":
    # Takes most of a second to import, and only a user's own files need it.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    text = (files("huntonce.content") / "schema" / f"{schema}.schema.json").read_text()
    return Draft202012Validator(json.loads(text))


def _checked(text: str, schema: str, *, ours: bool) -> Any:  # noqa: ANN401 - YAML is any until it is checked
    document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
    _bound(document)
    # What we ship is checked against the schema by a test, not each time it is read.
    for error in () if ours else _validator(schema).iter_errors(document):
        place = "/".join(str(part) for part in error.absolute_path) or "top level"
        raise _PlacedError(place, error.message[:MAX_REASON])
    return document


def _bound(document: object) -> None:
    """Refuse what aliases blow up, and keys that are no text, before anything walks through it."""
    left, stack = MAX_NODES, [document]
    while stack:
        node = stack.pop()
        left -= 1
        if left < 0:
            raise DomainError(f"it holds more than {MAX_NODES} values")
        if isinstance(node, dict):
            if not all(isinstance(key, str) for key in node):
                raise DomainError("a key is not text: put it into quotes")
            stack += node.values()
        elif isinstance(node, list):
            stack += node


def _hunt(data: Any) -> HuntDefinition:  # noqa: ANN401 - checked against the schema
    analytics = tuple(AnalyticSpec(**item) for item in data["analytics"])
    allow = tuple(AllowEntry(**item) for item in data.get("allow", ()))
    _check_parts(data, analytics, allow)
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


def _check_parts(
    data: Any,  # noqa: ANN401 - as above
    analytics: Sequence[AnalyticSpec],
    allow: Iterable[AllowEntry],
) -> None:
    """Nothing, where the parts of a hunt can do what they say."""
    if data["records"] != RECORDS:
        raise _PlacedError("records", f"unknown kind {data['records']!r}, known is {RECORDS!r}")
    for part in ("searches", "analytics", "detections"):
        names = [item["name"] for item in data.get(part, ())]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise _PlacedError(part, f"two are called {twice[0]!r}")
    for spec in analytics:
        with _at(f"analytics/{spec.name}"):
            check(spec)
            placeholders(spec.why)
    for entry in allow:
        with _at(f"allow/{entry.name}"):
            for expression in entry.when.values():
                pattern(expression)
            if entry.expires:
                date.fromisoformat(entry.expires)
    _check_needs(data.get("detections", ()), {spec.name for spec in analytics})


def _check_needs(detections: Any, fired: set[str]) -> None:  # noqa: ANN401 - as above
    for item in detections:
        for need in item["needs"]:
            if not met(need, fired):
                raise _PlacedError(
                    f"detections/{item['name']}", f"no analytic is called {need!r}: never met"
                )


def _evidence(data: Any) -> EvidenceModel:  # noqa: ANN401 - checked against the schema
    sources = {source["id"]: source for source in data["sources"]}
    groups = []
    for group in data["groups"]:
        atoms = []
        for atom in group["atoms"]:
            source = sources.get(atom["source"])
            place = f"groups/{group['name']}/{atom['id']}"
            if source is None:
                raise _PlacedError(place, f"no source {atom['source']!r}")
            if atom.get("where") and not isinstance(atom["where"].get("condition"), str):
                raise _PlacedError(place, "its 'where' has no condition")
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
