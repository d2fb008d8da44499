"""Settings: one tree, from huntonce.toml in the home and the environment (HUNTONCE_...).

The environment wins over the file; nested names are joined by two underscores, for example
``HUNTONCE_POLICY__POWER_FLOOR=0.9``. Nothing else in Huntonce reads the environment.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from typing_extensions import override

from huntonce.flows.desksettings import DeskChoice, DeskSettings, check_choice
from huntonce.models.errors import ConfigError
from huntonce.models.tlp import Tlp

FILE = "huntonce.toml"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Change = Literal["deploy", "open_ticket", "open_case", "publish"]
Approval = Literal["own", "auto", "ask", "over"]
_APPROVAL = (
    "own (what stays on our own desks and lake goes by itself, what leaves asks), auto, ask, or "
    "over (ask over policy.thresholds)"
)
ASSET_COLUMNS = "host,ip,role,platform,owner,joined,left"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ChangeWindowSettings(_Part):
    """A weekly span in which changes are expected."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(
        min_length=1, description="Weekdays on which it starts."
    )
    start: time = Field(description="Local wall time it starts.")
    end: time = Field(description="Local wall time it ends; before the start: past midnight.")
    zone: str = Field("UTC", description="IANA time zone.")

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"no time zone is called {zone!r}") from error
        return zone


class OrganisationSettings(_Part):
    """Who we are: decides which intel matters and what is normal."""

    name: str = Field("our organisation", description="Name on reports and published intel.")
    sectors: list[str] = Field([], description="STIX industry sectors, for example manufacturing.")
    regions: list[str] = Field([], description="Countries or regions that we operate in.")
    platforms: list[str] = Field(["windows"], description="ATT&CK platforms that we run.")
    technologies: list[str] = Field([], description="Products that we run.")
    assets: Path | None = Field(
        None,
        description="CSV of the hosts that should send telemetry: host, and if you like ip, role, "
        "platform, owner, joined and left (dates between which it is in scope). Columns may also "
        "be called Hostname, Computer Name, FQDN, Operating System, Team and the like; "
        "huntonce doctor tells what was read.",
    )
    change_windows: list[ChangeWindowSettings] = Field([], description="When changes are expected.")
    privileged_accounts: list[str] = Field(
        [], description="Accounts that administer hosts; * and ? are wildcards."
    )
    task_authors: list[str] = Field(
        [], description="Accounts whose business it is to create scheduled tasks."
    )
    internal_names: list[str] = Field(
        [], description="Host, domain and project names that must not leave."
    )
    internal_networks: list[str] = Field([], description="Networks (CIDR) that must not leave.")
    gap_owner: str = Field("", description="Who owns new visibility gaps.")
    identities: list[str] = Field(
        [], description="STIX ids of identities that are ours too, for example the CTI team's."
    )

    @field_validator("internal_networks")
    @classmethod
    def _networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ip_network(network, strict=False)
        return networks


class ThresholdSettings(_Part):
    """From where on a change asks, where its kind is set to "over"."""

    deploy: float = Field(1.0, ge=0, description="Upper bound of false alerts a day.")
    open_ticket: float = Field(10, ge=0, description="Hosts that do not see.")
    open_case: float = Field(5, ge=0, description="Hosts in the case.")
    publish: float = Field(0, ge=0, description="Objects that would leave.")


class ApproverSettings(_Part):
    """Somebody who may decide proposals, and their secret."""

    token: SecretStr = Field(min_length=12, description="Secret that proves a decision is theirs.")
    may: list[Change] = Field([], description="Kinds of change they may decide; empty: all.")


class PolicySettings(_Part):
    """What was decided beforehand."""

    power_floor: float = Field(0.8, ge=0, le=1, description="Least power for 'ruled out'.")
    default_tlp: Tlp = Field(Tlp.AMBER, description="Marking of intel that carries none.")
    gap_passes: int = Field(2, ge=1, description="Consecutive passing probes that close a gap.")
    max_lag_hours: float = Field(
        24, gt=0, description="Longest time until 95 % of the events are taken in that is no gap."
    )
    rule_author: str = Field("Huntonce", description="Author of promoted Sigma rules.")
    deploy: Approval = Field("own", description=f"Detections: {_APPROVAL}.")
    open_ticket: Approval = Field("own", description=f"Gap tickets: {_APPROVAL}.")
    open_case: Approval = Field("own", description=f"IR cases: {_APPROVAL}.")
    publish: Approval = Field("ask", description=f"Intel to a TAXII destination: {_APPROVAL}.")
    thresholds: ThresholdSettings = ThresholdSettings()
    two_people: list[Change] = Field(
        [], description="Kinds of change that two different people must approve."
    )
    silent_seconds: float = Field(
        300,
        ge=5,
        le=86_400,
        description="After this long without a sign of life a hunt's process counts as gone, and "
        "what it was hunting is free.",
    )
    proposal_hours: float = Field(
        72, gt=0, le=8760, description="How long a proposal waits for a decision before it lapses."
    )
    max_alerts_a_day: float = Field(
        1.0, ge=0, description="Most false alerts a day of a rule that stands guard."
    )
    replay_days: float = Field(30.0, gt=0, description="How far back a rule is replayed.")
    test_days: float = Field(7.0, ge=0, description="Least replay for status test, in days.")
    stable_days: float = Field(30.0, ge=0, description="Least replay for status stable.")
    stale_days: float = Field(30.0, gt=0, description="Days after which a proof is stale.")


class RulesSettings(_Part):
    """Where promoted detections are kept as code."""

    folder: Path = Field(Path("rules"), description="Folder of rules and their proof.")
    git: bool = Field(default=False, description="Commit each promotion to a Git repository there.")
    remote: str = Field(
        "",
        pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9._/-]*)?$",
        description="Git remote that each commit is pushed to; empty: none.",
    )
    author: str = Field("Huntonce <huntonce@localhost>", description="Who commits.")


class CollectionSettings(_Part):
    """Where a TAXII 2.1 collection is, and how we log in there."""

    url: str = Field(
        "", description="Address of the collection; or give discovery and collection instead."
    )
    discovery: str = Field("", description="Address of the server's discovery.")
    collection: str = Field("", description="Id, alias or title of the collection found there.")
    username: str = Field("", description="For basic authentication.")
    password: SecretStr = Field(SecretStr(""), description="For basic authentication.")
    token: SecretStr = Field(SecretStr(""), description="For servers that log in by a token.")
    token_header: str = Field(
        "Authorization",
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        description="Header of the token; in Authorization it is sent as Bearer.",
    )
    certificate: Path | None = Field(None, description="Our client certificate (PEM).")
    key: Path | None = Field(None, description="Its private key, unless in the same file.")
    key_password: SecretStr = Field(SecretStr(""), description="Password of that key.")
    ca: Path | None = Field(None, description="CA bundle (PEM) to trust instead of the usual.")
    timeout: float = Field(60, gt=0, le=3600, description="Seconds to wait for an answer.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.url) == bool(self.discovery):
            raise ValueError("give either url, or discovery and collection")
        if bool(self.discovery) != bool(self.collection):
            raise ValueError("discovery and collection belong together")
        if self.token.get_secret_value() and self.username:
            raise ValueError("give a token or a username, not both")
        if self.key and not self.certificate:
            raise ValueError("a key belongs to a certificate")
        return self


class TaxiiSettings(CollectionSettings):
    """A TAXII 2.1 collection that intel is pulled from."""

    page_size: int = Field(500, ge=1, le=10_000, description="Objects asked for at a time.")
    overlap_seconds: float = Field(
        30, ge=0, description="How far before its cursor a pull starts; 0 suits our own server."
    )
    types: list[str] = Field([], description="STIX types to take; empty: all.")
    labels: list[str] = Field(
        [], description="Take only objects with one of these labels; empty: all."
    )
    max_tlp: Tlp | None = Field(None, description="The most closed marking that is taken in.")
    since: datetime | None = Field(None, description="Take only what was added after this.")
    default_tlp: Tlp | None = Field(
        None, description="Marking of what carries none; empty: policy.default_tlp."
    )
    interval_minutes: int = Field(
        60, ge=1, description="How often it should be pulled; after three times that it is stale."
    )


class DestinationSettings(CollectionSettings):
    """A TAXII 2.1 collection that our intel goes to."""

    max_tlp: Tlp = Field(description="The most closed marking that may go there; no default.")
    gaps: bool = Field(default=False, description="Tell them what we could not see. Think twice.")
    incident_extension: bool = Field(
        default=False, description="Incidents carry the Incident Core extension (a draft)."
    )
    confirmed_as: Literal["suspected", "confirmed", "successful-attempt"] = Field(
        "suspected",
        description="What the extension calls a confirmed incident: its text and its schema "
        "differ, suspected is right under both.",
    )


class StoreSettings(_Part):
    """Where the state is kept."""

    url: SecretStr = Field(
        SecretStr(""), description="SQLAlchemy address; empty: SQLite in the home."
    )


class TaxiiServerSettings(_Part):
    """Our own TAXII 2.1 server (huntonce taxii serve)."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(6100, ge=0, le=65_535, description="Port to listen on; 0: any free one.")
    username: str = Field("", description="User with read and write rights.")
    password: SecretStr = Field(SecretStr(""), description="That user's password.")
    certificate: Path | None = Field(
        None, description="Our certificate with its chain (PEM): speak TLS."
    )
    key: Path | None = Field(None, description="Its private key, unless in the same file.")


class SigmaSettings(_Part):
    """Sigma rules that you hunt with."""

    rules: list[Path] = Field(
        [], description="Files and folders of Sigma rules; a relative path starts at the home."
    )


class LakeSettings(_Part):
    """The embedded SIEM."""

    retention_days: int | None = Field(
        None, ge=1, description="Days of events that `huntonce lake retain` keeps; it asks without."
    )


class Settings(BaseSettings):
    """All of Huntonce's settings."""

    model_config = SettingsConfigDict(
        env_prefix="HUNTONCE_",
        env_nested_delimiter="__",
        extra="forbid",
        hide_input_in_errors=True,
    )

    organisation: OrganisationSettings = OrganisationSettings()
    policy: PolicySettings = PolicySettings()
    store: StoreSettings = StoreSettings()
    rules: RulesSettings = RulesSettings()
    lake: LakeSettings = LakeSettings()
    intel: dict[str, TaxiiSettings] = Field({}, description="Intel sources by name.")
    publish: dict[str, DestinationSettings] = Field({}, description="Destinations by name.")
    taxii: TaxiiServerSettings = TaxiiServerSettings()
    approvers: dict[str, ApproverSettings] = Field(
        {}, description="Who may decide, by name; empty: anybody, and the name is taken on trust."
    )
    desks: dict[str, DeskSettings] = Field({}, description="Desks of other products by name.")
    tickets: DeskChoice = DeskChoice()
    cases: DeskChoice = DeskChoice()
    sigma: SigmaSettings = SigmaSettings()
    siems: dict[str, dict[str, Any]] = Field(
        {},
        repr=False,
        description="SIEMs by name, for --siem; the settings depend on the kind (see below).",
    )
    content: list[Path] = Field(
        [], description="Folders with hunts/ and evidence/ of your own; they win over ours."
    )

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        check_choice("tickets", self.tickets, self.desks)
        check_choice("cases", self.cases, self.desks)
        return self

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then what the file gave."""
        return env_settings, init_settings


def load_settings(home: Path) -> Settings:
    """The settings of a home.

    Raises:
        ConfigError: The file cannot be read or is not TOML, or a setting is wrong; says which.
    """
    path = home / FILE
    document = _document(path)
    try:
        return Settings(**document)
    except SettingsError as error:
        raise ConfigError(
            f"the environment: {error}", hint="a whole section in one variable is written as JSON"
        ) from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{_origin(path, document, first['loc'])}: {place}: {first['msg']}",
            hint="huntonce init writes a commented example",
        ) from None  # the cause repeats the values, and one of them may be a secret


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", hint="mend the file, it is TOML") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="see that it may be read") from error
    for key in document:
        if key.startswith("_"):  # such names steer pydantic-settings itself
            raise ConfigError(f"{path}: {key}: there is no such setting")
    return document


def _origin(path: Path, document: Mapping[str, Any], place: Sequence[int | str]) -> str:
    """Where a faulty setting was made: its variable where there is one, else the file."""
    names = [str(part).upper() for part in place]
    present = {name.upper() for name in os.environ}
    for length in range(len(names), 0, -1):
        variable = "HUNTONCE_" + "__".join(names[:length])
        if variable in present:
            return variable
    return str(path) if document else "settings"
