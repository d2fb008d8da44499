"""The organisation: what it is, what it owns, and what is normal there."""

from dataclasses import dataclass
from datetime import datetime, time
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from huntonce.models.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWindow:
    """A weekly span in which changes are expected.

    Attributes:
        days: Weekdays it starts on, Monday 0.
        start, end: Local wall time; an end before the start runs past midnight.
        zone: IANA name ("Europe/Berlin").
    """

    days: tuple[int, ...]
    start: time
    end: time
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.days or any(day not in range(7) for day in self.days):
            raise DomainError("a change window needs weekdays 0 (Monday) to 6 (Sunday)")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError) as error:
            raise DomainError(f"unknown time zone {self.zone!r}") from error

    def holds(self, moment: datetime) -> bool:
        """Whether a moment (with a zone) lies inside."""
        local = moment.astimezone(ZoneInfo(self.zone))
        clock = local.time()
        if self.start <= self.end:
            return local.weekday() in self.days and self.start <= clock < self.end
        yesterday = (local.weekday() - 1) % 7
        return (local.weekday() in self.days and clock >= self.start) or (
            yesterday in self.days and clock < self.end
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A host that should send telemetry.

    Attributes:
        owner: Who mends it.
        joined, left: Between them it is in scope; None: from the beginning, to the end.
    """

    host: str
    ip: str = ""
    role: str = ""
    platform: str = "windows"
    owner: str = ""
    joined: datetime | None = None
    left: datetime | None = None

    @property
    def name(self) -> str:
        """Its short name, as telemetry shows it."""
        return self.host.split(".", 1)[0].upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    r"""What Huntonce is told of the organisation.

    Account patterns are ``fnmatch`` patterns on DOMAIN\\name or bare names, any case.

    Attributes:
        privileged_accounts: Accounts that administer hosts.
        task_authors: Accounts (deployment systems ...) whose business it is to create tasks.
        assets: The population; empty = whatever hosts the telemetry shows.
    """

    name: str = "our organisation"
    sectors: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ("windows",)
    technologies: tuple[str, ...] = ()
    change_windows: tuple[ChangeWindow, ...] = ()
    privileged_accounts: tuple[str, ...] = ()
    task_authors: tuple[str, ...] = ()
    internal_names: tuple[str, ...] = ()
    internal_networks: tuple[str, ...] = ()
    assets: tuple[Asset, ...] = ()
    gap_owner: str = ""

    def in_change_window(self, moment: datetime) -> bool | None:
        """Inside a declared change window; None where none is declared."""
        if not self.change_windows:
            return None
        return any(window.holds(moment) for window in self.change_windows)


def matches_account(account: str, patterns: tuple[str, ...]) -> bool:
    r"""Whether DOMAIN\\name (or a bare name) is one of the patterns, any case."""
    full = account.casefold()
    bare = full.rsplit("\\", 1)[-1]
    return any(fnmatchcase(full, p.casefold()) or fnmatchcase(bare, p.casefold()) for p in patterns)
