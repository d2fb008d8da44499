"""Kinds of SIEM by name: ours, and those that installed packages add.

A package adds one by an entry point in the group ``huntonce.siem`` that names a ``SiemKind``
(docs/guides/adding-a-connector.md). Nothing is imported before it is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from huntonce.models.errors import ConfigError
from huntonce.models.ports import DetectionStore, Siem

GROUP = "huntonce.siem"
"""Group of the entry points."""

_OURS = {
    "opensearch": "huntonce.connectors.siem.opensearch.kind:KIND",
    "elasticsearch": "huntonce.connectors.siem.opensearch.kind:KIND",
    "postgresql": "huntonce.connectors.siem.warehouse.kind:KIND",
    "splunk": "huntonce.connectors.siem.splunk.kind:KIND",
    "sentinel": "huntonce.connectors.siem.sentinel.kind:KIND",
}


@dataclass(frozen=True, slots=True)
class SiemKind:
    """How a SIEM of one kind is made.

    Attributes:
        settings: pydantic model of ``[siems.NAME]``; ``kind`` is one of its fields.
        open: Makes the connector of settings and the name it is registered under.
        rules: Makes the store that detections are deployed to, where the settings have a
            ``rules_index``; None where there is none.
    """

    settings: type[BaseModel]
    open: Callable[[Any, str], Siem]
    rules: Callable[[Any, str], DetectionStore] | None = None


def kinds() -> tuple[str, ...]:
    """Names of every kind that is known here, sorted."""
    return tuple(sorted({*_OURS, *(point.name for point in entry_points(group=GROUP))}))


def find_kind(name: str) -> SiemKind:
    """A kind of SIEM; ours win over those of packages.

    Raises:
        ConfigError: It is not known, or the package that brings it is broken.
    """
    if name in _OURS:
        module, _, attribute = _OURS[name].partition(":")
        found: object = getattr(import_module(module), attribute)
    else:
        points = tuple(entry_points(group=GROUP, name=name))
        if not points:
            raise ConfigError(f"no kind of SIEM is called {name!r}", hint=", ".join(kinds()))
        try:
            found = points[0].load()
        except Exception as error:
            raise ConfigError(
                f"the package that brings the SIEM kind {name!r} does not load: {error}",
                hint="update or remove the package",
            ) from error
    if not isinstance(found, SiemKind):
        raise ConfigError(f"the SIEM kind {name!r} is no SiemKind", hint="update the package")
    return found


def read_settings(name: str, given: Mapping[str, Any], home: Path) -> tuple[SiemKind, BaseModel]:
    """The kind and the checked settings of ``[siems.NAME]``; paths are taken from the home.

    Raises:
        ConfigError: One of them is wrong; says which, and shows no value.
    """
    kind = find_kind(str(given.get("kind") or "opensearch"))
    try:
        settings = kind.settings.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"siems.{name}{'.' if place else ''}{place}: {first['msg']}",
            hint="docs/reference.md lists the settings of each kind",
        ) from None  # the cause repeats the values, and one of them may be a secret
    found = {
        field: home / value
        for field in kind.settings.model_fields
        if isinstance(value := getattr(settings, field), Path) and not value.is_absolute()
    }
    return kind, settings.model_copy(update=found)
