"""The composition root: the one place where a port is given its adapter. Imports no Prefect.

Adapters are imported where they are opened: a command pays only for what it uses.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huntonce.flows.meaning import policy_of, profile_of
from huntonce.flows.settings import (
    DestinationSettings,
    Settings,
    TaxiiSettings,
    load_settings,
)
from huntonce.models.ids import digest, stix_id
from huntonce.models.intel import IntelObject

if TYPE_CHECKING:
    from huntonce.connectors.intel.bundles import BundleFiles
    from huntonce.models.attack import Catalogue
    from huntonce.models.content import Library
    from huntonce.models.feedback import CaseIntel, Mask, OpinionIntel, RuledOutIntel
    from huntonce.models.indicators.warninglists import Warninglists
    from huntonce.models.intake import IntelSource
    from huntonce.models.ports import Clock, RuleBook, RuleRunner, Siem
    from huntonce.models.profile import Profile
    from huntonce.models.requirements.book import EvidenceBook
    from huntonce.models.requirements.merging import RuleSource
    from huntonce.models.rules import RuleText
    from huntonce.models.stages.collect import Check
    from huntonce.models.stages.kit import Kit
    from huntonce.models.stages.outlets import Outlet
    from huntonce.models.state.store import Store
    from huntonce.models.tlp import Tlp

DEMO_MARK = "demo-home"
"""Name of the file that says that a home is the demo's, to be made anew by the next one."""


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def _try_out(bodies: Sequence[str]) -> "Siem":
    """The second engine of certificates: a SIEM in memory that holds just these events."""
    import orjson

    from huntonce.connectors.siem.memory import MemorySiem

    return MemorySiem((orjson.loads(body) for body in bodies), name="memory")


def _read_rule(text: str) -> "RuleText":
    from huntonce.connectors.sigma.received import read_rule

    return read_rule(text)


def _author_ruled_out(intel: "RuledOutIntel", mask: "Mask") -> tuple[str, ...]:
    from huntonce.connectors.intel.author_words import author_ruled_out

    return author_ruled_out(intel, mask=mask)


def _author_opinion(intel: "OpinionIntel", mask: "Mask") -> tuple[str, ...]:
    from huntonce.connectors.intel.author_words import author_opinion

    return author_opinion(intel, mask=mask)


def _engine() -> str:
    """What runs the rules here, for the certificates."""
    from importlib.metadata import version

    from huntonce.connectors.siem.sweep.planning import ENGINE_VERSION

    return (
        f"huntonce {version('huntonce')} (sweep engine {ENGINE_VERSION}),"
        f" pySigma {version('pysigma')}, DuckDB {version('duckdb')}"
    )


@dataclass(kw_only=True)
class Home:
    """A folder that holds one Huntonce: its settings, store, lake and rules.

    Opening parts lazily keeps ``huntonce --help`` and small commands quick.
    """

    path: Path
    clock: "Clock" = now
    actor: str = "huntonce"
    elsewhere: Callable[[str], Mapping[str, Any]] = lambda _section: {}
    """Section of the settings to further connectors in it, by name (Prefect blocks)."""

    @cached_property
    def settings(self) -> Settings:
        """From huntonce.toml and the environment."""
        return load_settings(self.path)

    @cached_property
    def profile(self) -> "Profile":
        """The organisation."""
        return profile_of(self.settings, self.path)

    @cached_property
    def store(self) -> "Store":
        """The state, brought to the newest schema."""
        from huntonce.models.state.engine import sqlite_url
        from huntonce.models.state.store import open_store

        address = self.settings.store.url.get_secret_value()
        return open_store(address or sqlite_url(self.path / "huntonce.db"), clock=self.clock)

    @cached_property
    def library(self) -> "Library":
        """Hunts and evidence, ours and the user's; evidence for what is not written is derived."""
        return replace(self._written, evidence=self.evidence)

    @property
    def _folders(self) -> list[Path]:
        return [self._inside(folder) for folder in self.settings.content]

    @cached_property
    def _written(self) -> "Library":
        from huntonce.models.content import load_library

        return load_library(self._folders)

    @cached_property
    def evidence(self) -> "EvidenceBook":
        """What every technique would leave, from content, rules and ATT&CK."""
        from importlib.resources import files

        from huntonce.models.content_evidence import known_atoms, load_shared
        from huntonce.models.requirements.book import EvidenceBook

        shipped = files("huntonce.content")
        known = known_atoms(load_shared([shipped, *self._folders], shipped))
        written = self._written.evidence
        return EvidenceBook(written, self.catalogue, self._rule_sources(), known)

    @property
    def rule_folders(self) -> list[Path]:
        """Files and folders of the user's Sigma rules."""
        return [self._inside(path) for path in self.settings.sigma.rules]

    def _rule_sources(self) -> "Mapping[str, Sequence[RuleSource]]":
        if not self.rule_folders:
            return {}
        from huntonce.connectors.sigma.packcache import load_documents
        from huntonce.connectors.sigma.tagged import rule_sources

        cache = self.path / "cache" / "sigma.db"
        return rule_sources(load_documents(self.rule_folders, cache), self.catalogue)

    @cached_property
    def catalogue(self) -> "Catalogue":
        """ATT&CK: the newest version that ``attack update`` put here, else the shipped one.

        Raises:
            ConfigError: The file here is damaged.
        """
        from huntonce.models.attack import load_catalogue, read_catalogue
        from huntonce.models.attack_data import kept

        held = kept(self.attack_path)
        return read_catalogue(held[0].read_bytes()) if held else load_catalogue()

    @property
    def attack_path(self) -> Path:
        """Folder of the ATT&CK catalogues that the user brought."""
        return self.path / "attack"

    @property
    def lake_path(self) -> Path:
        """Folder of the embedded SIEM."""
        return self.path / "lake"

    def _inside(self, path: Path) -> Path:
        return path if path.is_absolute() else self.path / path

    @cached_property
    def connected(self) -> Settings:
        """The settings with the SIEMs and desks that were made elsewhere."""
        from huntonce.flows.connected import with_elsewhere

        return with_elsewhere(self.settings, self.elsewhere)

    def siem_names(self) -> tuple[str, ...]:
        """Names under which SIEMs are registered."""
        return ("lake", *self.connected.siems)

    def siem(self, name: str = "lake") -> "Siem":
        """The SIEM registered under a name.

        Raises:
            ConfigError: There is none.
        """
        if name == "lake":
            return self._lake()
        from huntonce.flows.connected import open_siem

        return open_siem(self.connected, name, self.path)

    def _lake(self) -> "Siem":
        from huntonce.connectors.siem.remembering import RememberingSiem
        from huntonce.connectors.siem.sweep.countedlake import CountedLake

        return RememberingSiem(CountedLake(self.lake_path), self.path / "probes" / "lake")

    def kit(self, siem: str = "lake", actor: str = "") -> "Kit":
        """What the stages need, with the snapshot of this moment."""
        from huntonce.flows.desks import case_desk, ticket_desk
        from huntonce.flows.rulestores import others, rule_store, targets
        from huntonce.models.stages.kit import Kit

        deployed_to = targets(self.connected, self.path)
        return Kit(
            open_unit=self.store.unit,
            clock=self.clock,
            profile=self.profile,
            policy=policy_of(self.settings),
            library=self.library,
            catalogue=self.catalogue,
            siem=self.siem(siem),
            tickets=ticket_desk(self.connected, self.path, self.store, self.clock),
            cases=case_desk(self.connected, self.path, self.store, self.clock),
            rules=rule_store(self.settings, self.path),
            targets=deployed_to,
            others=others(deployed_to, siem, self.siem),
            check_rule=self._check_rule,
            read_rule=_read_rule,
            author_case=self._author_case,
            author_ruled_out=_author_ruled_out,
            author_opinion=_author_opinion,
            own_identity=stix_id("identity", self.profile.name),
            mask_key=self.mask_key,
            rulebook=self._rulebook(siem),
            actor=actor or self.actor,
            try_out=_try_out,
            runner=self._runner(siem),
            engine=_engine(),
        )

    def _check_rule(self, rule: str) -> tuple[str, ...]:
        from huntonce.connectors.sigma.rules import validate_rule

        return validate_rule(rule, self.catalogue)

    def _author_case(self, intel: "CaseIntel", mask: "Mask") -> tuple[str, ...]:
        from huntonce.connectors.intel.author import author_case

        return author_case(intel, mask=mask, lists=self.warninglists)

    def _runner(self, siem: str) -> "RuleRunner | None":
        from huntonce.connectors.siem.sweep.guarding import LakeRunner

        return LakeRunner(self.lake_path) if siem == "lake" else None

    def _rulebook(self, siem: str) -> "RuleBook | None":
        """The configured Sigma rules; None where no folder is."""
        from huntonce.connectors.siem.sweep.tagged import TaggedRules

        paths = [self._inside(path) for path in self.settings.sigma.rules]
        if not paths:
            return None

        def resolve(technique_id: str) -> tuple[str, ...]:
            found = self.catalogue.resolve(technique_id)
            return (found.id, *found.others) if found.usable else ()

        lake = self.lake_path if siem == "lake" else None
        return TaggedRules(paths, self.path / "cache" / "sigma.db", resolve, lake)

    @cached_property
    def warninglists(self) -> "Warninglists":
        """Values that are worth no indicator: the shipped lists and the user's."""
        from huntonce.models.indicators.warninglists import load_warninglists

        return load_warninglists([self._inside(folder) for folder in self.settings.content])

    def mask_key(self, destination: str) -> bytes:
        """Key of the pseudonyms for a destination: made once, kept here, readable by its owner."""
        folder = self.path / "mask-keys"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A name from the settings makes no path.
        path = folder / f"{digest('mask-key', destination)[:24]}.key"
        if not path.exists():
            fresh = folder / f"new-{secrets.token_hex(8)}"
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(32))
            with suppress(FileExistsError):
                path.hardlink_to(fresh)
            fresh.unlink()
        return bytes.fromhex(path.read_text().strip())

    @cached_property
    def intel(self) -> "Mapping[str, TaxiiSettings]":
        """The intel sources by name; those of the settings win over those made elsewhere."""
        return {**self.elsewhere("intel"), **self.settings.intel}

    @cached_property
    def publish(self) -> "Mapping[str, DestinationSettings]":
        """The destinations by name; those of the settings win over those made elsewhere."""
        return {**self.elsewhere("publish"), **self.settings.publish}

    def source(self, name: str) -> "IntelSource":
        """The intel source registered under a name.

        Raises:
            ConfigError: There is none.
        """
        from huntonce.flows.exchange import taxii_source

        usual = self.settings.policy.default_tlp
        return taxii_source(self.intel, name, self.path, usual, self.markings())

    def markings(self) -> "dict[str, Tlp | None]":
        """TLP levels by marking id: the standard's, and those that the stored intel defines."""
        from huntonce.models.tlp import marking_levels

        with self.store.unit() as unit:
            return marking_levels(item.content for item in unit.intel.latest("marking-definition"))

    def sources(self) -> "tuple[IntelSource, ...]":
        """Every configured source, by name."""
        return tuple(self.source(name) for name in sorted(self.intel))

    def outlets(self) -> "tuple[Outlet, ...]":
        """Every configured destination with its ceiling, by name."""
        from huntonce.flows.exchange import outlets

        return outlets(self.publish, self.path)

    def bundles(self, files: Sequence[Path], name: str = "file") -> "BundleFiles":
        """STIX bundles in files and folders as a source.

        Raises:
            ConfigError: A path does not exist.
        """
        from huntonce.connectors.intel.bundles import BundleFiles

        default = self.settings.policy.default_tlp
        return BundleFiles(files, default_tlp=default, name=name, markings=self.markings())

    def check_again(self) -> "Check":
        """The checks of intake for what was set aside, with the settings of today."""
        from huntonce.flows.exchange import checks

        return checks(self.intel, self.settings.policy.default_tlp, self.markings())

    def read_bundles(self, files: Sequence[Path]) -> tuple[IntelObject, ...]:
        """The objects of STIX bundles that the CTI team wants to publish.

        Raises:
            ConfigError: One of them is faulty; nothing faulty goes out.
        """
        from huntonce.flows.exchange import faultless

        return faultless(self.bundles(files))

    def serve_taxii(self, ready: Callable[[str], None]) -> None:
        """Serve our TAXII 2.1 collection until stopped; ``ready`` gets the discovery address.

        Raises:
            ConfigError: The server would be open to everybody.
        """
        from huntonce.flows.exchange import serve_taxii

        serve_taxii(self.settings.taxii, self.path, self.profile.name, ready)

    def close(self) -> None:
        """Let go of what was opened."""
        if "store" in self.__dict__:
            self.store.close()
