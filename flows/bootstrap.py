"""The composition root: the one place where a port is given its adapter. Imports no Prefect.

Adapters are imported where they are opened: a command pays only for what it uses.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from huntonce.flows.settings import Settings, load_settings, policy_of, profile_of
from huntonce.models.errors import ConfigError
from huntonce.models.ids import stix_id
from huntonce.models.intel import IntelObject

if TYPE_CHECKING:
    from huntonce.models.content import Library
    from huntonce.models.ports import Clock, IntelSource, Siem
    from huntonce.models.profile import Profile
    from huntonce.models.stages.kit import Kit
    from huntonce.models.stages.learn import Outlet
    from huntonce.models.state.store import Store

INTEL_COLLECTION = "5f7c1c1e-3d4b-4a57-9c1b-2f0f6a3f1d10"
"""Id of the collection that our own TAXII server offers for reading and writing."""
DEMO_MARK = "demo-home"
"""Name of the file that says that a home is the demo's, to be made anew by the next one."""


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Home:
    """A folder that holds one Huntonce: its settings, store, lake and rules.

    Opening parts lazily keeps ``huntonce --help`` and small commands quick.
    """

    path: Path
    clock: "Clock" = now
    actor: str = "huntonce"

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
        """Hunts and evidence, ours and the user's."""
        from huntonce.models.content import load_library

        return load_library([self._inside(folder) for folder in self.settings.content])

    @property
    def lake_path(self) -> Path:
        """Folder of the embedded SIEM."""
        return self.path / "lake"

    def _inside(self, path: Path) -> Path:
        return path if path.is_absolute() else self.path / path

    def siem(self, name: str = "lake") -> "Siem":
        """The SIEM registered under a name.

        Raises:
            ConfigError: There is none.
        """
        makers: dict[str, Callable[[], Siem]] = {"lake": self._lake}
        if name not in makers:
            raise ConfigError(f"no SIEM named {name!r}", hint=f"use {', '.join(sorted(makers))}")
        return makers[name]()

    def _lake(self) -> "Siem":
        from huntonce.connectors.siem.lake.lake import Lake

        return Lake(self.lake_path)

    def kit(self, siem: str = "lake", actor: str = "") -> "Kit":
        """What the stages need, with the snapshot of this moment."""
        from huntonce.connectors.cases.builtin import BuiltinCases
        from huntonce.connectors.detections.folder import RuleFolder
        from huntonce.connectors.intel.author import author_case
        from huntonce.connectors.sigma.rules import validate_rule
        from huntonce.connectors.tickets.builtin import BuiltinTickets
        from huntonce.models.attack import load_catalogue
        from huntonce.models.stages.kit import Kit

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
            author_case=lambda intel, mask: author_case(intel, mask=mask),
            own_identity=stix_id("identity", self.profile.name),
            mask_key=self.mask_key,
            actor=actor or self.actor,
        )

    @cached_property
    def mask_key(self) -> bytes:
        """Key of the pseudonyms that leave: made once, kept in the home, readable by its owner."""
        path = self.path / "mask.key"
        if not path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            fresh = self.path / f"mask.key.{secrets.token_hex(4)}"
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(32))
            with suppress(FileExistsError):
                path.hardlink_to(fresh)
            fresh.unlink()
        return bytes.fromhex(path.read_text().strip())

    def source(self, name: str) -> "IntelSource":
        """The intel source registered under a name.

        Raises:
            ConfigError: There is none.
        """
        from huntonce.connectors.intel.taxii import TaxiiSource

        part = self.settings.intel.get(name)
        if part is None:
            known = ", ".join(sorted(self.settings.intel)) or "none is configured"
            raise ConfigError(f"no intel source named {name!r}", hint=f"known: {known}")
        return TaxiiSource(
            name=name,
            collection_url=part.url,
            username=part.username,
            password=part.password.get_secret_value(),
            page_size=part.page_size,
            overlap_seconds=part.overlap_seconds,
            default_tlp=self.settings.policy.default_tlp,
        )

    def sources(self) -> "tuple[IntelSource, ...]":
        """Every configured source, by name."""
        return tuple(self.source(name) for name in sorted(self.settings.intel))

    def outlets(self) -> "tuple[Outlet, ...]":
        """Every configured destination with its ceiling, by name."""
        from huntonce.connectors.intel.taxii_publish import TaxiiDestination
        from huntonce.models.stages.learn import Outlet

        return tuple(
            Outlet(
                destination=TaxiiDestination(
                    name=name,
                    collection_url=part.url,
                    username=part.username,
                    password=part.password.get_secret_value(),
                ),
                max_tlp=part.max_tlp,
            )
            for name, part in sorted(self.settings.publish.items())
        )

    def read_bundles(self, files: Sequence[Path]) -> tuple[IntelObject, ...]:
        """The objects of STIX bundles that the CTI team wants to publish.

        Raises:
            ConfigError: One of them is faulty; nothing faulty goes out.
        """
        from huntonce.connectors.intel.bundles import BundleFiles

        source = BundleFiles(files, default_tlp=self.settings.policy.default_tlp)
        objects: list[IntelObject] = []
        for batch in source.pull(None):
            for refused in batch.set_aside:
                raise ConfigError(
                    f"{refused.source}, {refused.place}: {refused.reason}",
                    hint=refused.hint or "mend it, then publish",
                )
            objects.extend(batch.objects)
        return tuple(objects)

    def serve_taxii(self, ready: Callable[[str], None]) -> None:
        """Serve our TAXII 2.1 collection until stopped; ``ready`` gets the discovery address.

        Raises:
            ConfigError: The server would be open to everybody.
        """
        from huntonce.connectors.intel.taxii_server.server import serve
        from huntonce.connectors.intel.taxii_server.settings import (
            CollectionSpec,
            ServerSettings,
            User,
        )

        part = self.settings.taxii
        users = (User(part.username, part.password.get_secret_value()),) if part.username else ()
        self.path.mkdir(parents=True, exist_ok=True)
        serve(
            ServerSettings(
                db_url=f"sqlite:///{self.path / 'taxii.db'}",
                users=users,
                collections=(CollectionSpec(INTEL_COLLECTION, "Intel", can_write=True),),
                host=part.host,
                port=part.port,
                title=f"{self.profile.name}: TAXII by Huntonce",
            ),
            ready=ready,
        )

    def close(self) -> None:
        """Let go of what was opened."""
        if "store" in self.__dict__:
            self.store.close()
