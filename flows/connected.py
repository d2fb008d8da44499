"""Connectors made elsewhere than in the settings, put beside those. Imports no Prefect."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from huntonce.flows.desksettings import BUILTIN, DeskSettings, check_choice
from huntonce.flows.settings import Settings
from huntonce.models.errors import ConfigError
from huntonce.models.ports import Siem


class Namesakes(dict[str, Any]):
    """Stands for a name that several connectors made elsewhere have: it has no settings.

    Whoever asks for the name is refused; nobody else is.
    """

    def __init__(self, name: str, kinds: Iterable[str]) -> None:
        super().__init__()
        self.name = name
        self.kinds = tuple(sorted(kinds))

    def error(self) -> ConfigError:
        """Why the name cannot be used, and what to do."""
        return ConfigError(
            f"{len(self.kinds)} blocks are called {self.name} ({', '.join(self.kinds)}): "
            "which one is meant cannot be told",
            hint="on the Blocks page delete all but one of them, or make one anew by another name",
        )


def with_elsewhere(settings: Settings, elsewhere: Callable[[str], Mapping[str, Any]]) -> Settings:
    """The settings with further SIEMs and desks; a name that the settings have stays theirs.

    Of desks only those are read that are chosen for tickets or cases: a block that somebody has
    not finished stops nobody.

    Raises:
        ConfigError: A chosen desk has values that it does not take, or is of the wrong sort.
    """
    chosen = {settings.tickets.desk, settings.cases.desk} - {BUILTIN} - settings.desks.keys()
    found = elsewhere("desks") if chosen else {}
    desks = {name: _desk(name, found[name]) for name in sorted(chosen & found.keys())}
    merged = settings.model_copy(
        update={
            "siems": {**elsewhere("siems"), **settings.siems},
            "desks": {**desks, **settings.desks},
        }
    )
    try:
        check_choice("tickets", merged.tickets, merged.desks)
        check_choice("cases", merged.cases, merged.desks)
    except ValueError as error:
        raise ConfigError(str(error), hint="choose another desk in the settings") from error
    return merged


def open_siem(settings: Settings, name: str, home: Path) -> Siem:
    """The SIEM of a name in the settings.

    Raises:
        ConfigError: There is none, or several, or its settings are wrong.
    """
    given = settings.siems.get(name)
    if given is None:
        known = ", ".join(sorted({"lake", *settings.siems}))
        raise ConfigError(
            f"no SIEM named {name!r}",
            hint=f"use {known}, or add [siems.{name}] to the settings "
            "(commands do not read Prefect's blocks, flows do)",
        )
    if isinstance(given, Namesakes):
        raise given.error()
    from huntonce.connectors.siem.registry import read_settings

    kind, read = read_settings(name, given, home)
    return kind.open(read, name)


def told(error: ValidationError) -> str:
    """The first fault that pydantic found, with its place; never a value: it may be a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")


def _desk(name: str, given: Mapping[str, Any]) -> DeskSettings:
    if isinstance(given, Namesakes):
        raise given.error()
    try:
        return DeskSettings.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigError(
            f"desk {name}: {told(error)}",
            hint="mend the block on the Blocks page",
        ) from None  # the cause repeats the values, and one of them may be a secret
