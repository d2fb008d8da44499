"""Content files: YAML that is read bounded, checked against its schema, and set aside if faulty."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from huntonce.models.errors import DomainError
from huntonce.models.setaside import InputKind, SetAside

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MAX_BYTES = 1_048_576
MAX_NODES = 100_000
"""Most values of a file after YAML aliases are followed."""
MAX_DEPTH = 50
MAX_REASON = 500
T = TypeVar("T")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def yaml_files(folder: Traversable) -> list[Traversable]:
    """YAML files of a folder by name; none where there is no folder."""
    if not folder.is_dir():
        return []
    found = [item for item in folder.iterdir() if item.name.endswith((".yml", ".yaml"))]
    return sorted(found, key=lambda item: item.name)


def load(
    item: Traversable,
    schema: str,
    build: Callable[[Any], T],
    refused: list[SetAside],
    *,
    ours: bool = False,
) -> T | None:
    """What ``build`` makes of a file; None, and the reason in ``refused``, where it is faulty."""
    try:
        text = item.read_bytes()
        if len(text) > MAX_BYTES:
            raise DomainError(f"larger than {MAX_BYTES} bytes")
        return build(checked(text.decode(), schema, ours=ours))
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


class PlacedError(DomainError):
    """What is wrong at one place of a file."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


def _place(error: BaseException) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}"
    return error.place if isinstance(error, PlacedError) else "whole file"


@contextmanager
def at(place: str) -> Iterator[None]:
    """Says of a fault where in the file it is."""
    try:
        yield
    except ValueError as error:
        raise PlacedError(place, str(error)) from error


@cache
def _validator(schema: str) -> "Draft202012Validator":
    # Takes most of a second to import, and only a user's own files need it.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    text = (files("huntonce.content") / "schema" / f"{schema}.schema.json").read_text()
    return Draft202012Validator(json.loads(text))


def bounded(text: str, *, ours: bool = False) -> Any:  # noqa: ANN401 - YAML is any until it is checked
    """A YAML text as plain values.

    Raises:
        DomainError: It holds more than it may, or keys that are no text.
        yaml.YAMLError: It is no YAML.
    """
    if not ours:
        bound_depth(text)
    document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
    _bound(document)
    return document


def checked(text: str, schema: str, *, ours: bool) -> Any:  # noqa: ANN401 - as above
    """A YAML text that a schema allows; what is ours is not checked each time.

    Raises:
        PlacedError: The schema does not allow it; says where. Otherwise as ``bounded``.
    """
    document = bounded(text, ours=ours)
    # What we ship is checked against the schema by a test, not each time it is read.
    for error in () if ours else _validator(schema).iter_errors(document):
        place = "/".join(str(part) for part in error.absolute_path) or "top level"
        raise PlacedError(place, error.message[:MAX_REASON])
    return document


def bound_depth(text: str, most: int = MAX_DEPTH) -> None:
    """Refuse deep nesting while it is read event by event: composing it ends the process in C.

    Raises:
        DomainError: It is nested deeper than that.
        yaml.YAMLError: It is no YAML.
    """
    # Each level takes one of these at least, so most texts need not be read twice.
    if sum(map(text.count, "[{-?:")) <= most:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > most:
            raise DomainError(f"it is nested deeper than {most}")


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
