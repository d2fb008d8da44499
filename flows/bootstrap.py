"""The composition root: the one place where a port is given its adapter. Imports no Prefect."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from huntonce.connectors.cases.builtin import BuiltinCases
from huntonce.connectors.detections.folder import RuleFolder
from huntonce.connectors.intel.taxii import TaxiiDestination, TaxiiSource
from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.sigma.rules import validate_rule
from huntonce.connectors.tickets.builtin import BuiltinTickets
from huntonce.flows.settings import Settings, load_settings, policy_of, profile_of
from huntonce.models.attack import load_catalogue
from huntonce.models.content import Library, load_library
from huntonce.models.errors import ConfigError
from huntonce.models.ports import Clock, IntelDestination, IntelSource, Siem
from huntonce.models.profile import Profile
from huntonce.models.stages.kit import Kit
from huntonce.models.state.store import Store, open_store, utcnow
from huntonce.models.state.engine import sqlite_url
from huntonce.models.tlp import Tlp


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """A destination of ours with the rule for what may go there."""

    destination: IntelDestination
    max_tlp: Tlp


@dataclass(kw_only=True)
class Home:
    """A folder that holds one Huntonce: its settings, store, lake and rules.

    Opening parts lazily keeps ``huntonce --help`` and small commands quick.
    """

    path: Path
    clock: Clock = utcnow
    actor: str = "huntonce"
    extra_settings: Settings | None = field(default=None)

    @cached_property
    def settings(self) -> Settings:
        """From huntonce.toml and the environment."""
        return self.extra_settings or load_settings(self.path)

    @cached_property
    def profile(self) -> Profile:
        """The organisation."""
        return profile_of(self.settings, self.path)

    @cached_property
    def store(self) -> Store:
        """The state, brought to the newest schema."""
        address = self.settings.store.url.get_secret_value()
        return open_store(address or sqlite_url(self.path / "huntonce.db"), clock=self.clock)

    @cached_property
    def library(self) -> Library:
        """Hunts and evidence, ours and the user's."""
        return load_library([self._inside(folder) for folder in self.settings.content])

    @property
    def lake_path(self) -> Path:
        """Folder of the embedded SIEM."""
        return self.path / "lake"

    def _inside(self, path: Path) -> Path:
        return path if path.is_absolute() else self.path / path

    def siem(self, name: str = "lake") -> Siem:
        """The SIEM registered under a name.

        Raises:
            ConfigError: There is none.
        """
        makers: dict[str, Callable[[], Siem]] = {"lake": lambda: Lake(self.lake_path)}
        if name not in makers:
            raise ConfigError(f"no SIEM named {name!r}", hint=f"use {', '.join(sorted(makers))}")
        return makers[name]()

    def kit(self, siem: str = "lake", actor: str = "") -> Kit:
        """What the stages need, with the snapshot of this moment."""
        return Kit(
            open_unit=self.store.unit,
            clock=self.clock,
            profile=self.profile,
            policy=policy_of(self.settings),
            library=self.library,
            catalogue=load_catalogue(),
            siem=self.siem(siem),
            tickets=BuiltinTickets(self.store),
            cases=BuiltinCases(self.store),
            rules=RuleFolder(self.path / "rules", name="lake"),
            check_rule=validate_rule,
            actor=actor or self.actor,
        )

    def source(self, name: str) -> IntelSource:
        """The intel source registered under a name.

        Raises:
            ConfigError: There is none.
        """
        part = self.settings.intel.get(name)
        if part is None:
            known = ", ".join(sorted(self.settings.intel)) or "none is configured"
            raise ConfigError(f"no intel source named {name!r}", hint=f"known: {known}")
        return TaxiiSource(
            name,
            collection_url=part.url,
            username=part.username,
            password=part.password.get_secret_value(),
            page_size=part.page_size,
            default_tlp=self.settings.policy.default_tlp,
        )

    def sources(self) -> tuple[IntelSource, ...]:
        """Every configured source, by name."""
        return tuple(self.source(name) for name in sorted(self.settings.intel))

    def outlets(self) -> tuple[Outlet, ...]:
        """Every configured destination, by name."""
        return tuple(
            Outlet(
                destination=TaxiiDestination(
                    name,
                    collection_url=part.url,
                    username=part.username,
                    password=part.password.get_secret_value(),
                ),
                max_tlp=part.max_tlp,
            )
            for name, part in sorted(self.settings.publish.items())
        )

    def close(self) -> None:
        """Let go of what was opened."""
        if "store" in self.__dict__:
            self.store.close()
