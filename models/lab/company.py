"""A made-up company: its hosts, people, networks and what each host is set to log.

Ostermark Antriebe makes drives: offices in Hamburg and Kassel, a shop floor in Kassel, a plant in
Brno. Nothing of it is real; the DNS name lies under the reserved ``.example``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

from huntonce.models.errors import DomainError
from huntonce.models.lab.clockwork import ZONE_NAME, dice, micros
from huntonce.models.lab.people import Account, people
from huntonce.models.profile import Asset, ChangeWindow, Profile

DOMAIN = "OSTERMARK"
DNS = "ad.ostermark.example"
DEFAULT_END = datetime(2026, 11, 16, tzinfo=UTC)
NEVER = 1 << 62

TASK_AUDITING = "task-auditing"
COMMAND_LINE = "command-line"
SCHEDULER_CHANNEL = "scheduler-channel"
SYSMON = "sysmon"
SOURCES = (TASK_AUDITING, COMMAND_LINE, SCHEDULER_CHANNEL, SYSMON)
"""What a host may be set to log or not; the last three are off by default in Windows."""

SHOP_FLOOR = "shop-floor"
SHARES = {"server": 24, "hamburg": 95, "kassel": 62, SHOP_FLOOR: 22, "brno": 37}
"""Hosts of each group in a company of 240; other sizes in proportion."""
LARGEST_SHOP_FLOOR = 240
NETS = {"server": (20, 2), "hamburg": (20, 16), "kassel": (20, 7), SHOP_FLOOR: (20, 8)}
NETS["brno"] = (20, 12)
SITES = {"server": "HAM", "hamburg": "HAM", "kassel": "KAS", SHOP_FLOOR: "KAS", "brno": "BRQ"}
SERVER_ROLES = ("DC", "DC", "SWD", "BKP", "FS", "SQL", "MES", "WEB", "APP", "PRT", "FS", "APP")
ROLE_WORDS = {
    "DC": "domain controller",
    "SWD": "software deployment",
    "BKP": "backup server",
    "FS": "file server",
    "SQL": "database server",
    "MES": "production server",
    "WEB": "web server",
    "APP": "application server",
    "PRT": "print server",
}
FEWEST_HOSTS = 20
FIRST_YEAR = 2020
GOLDEN = 0.6180339887
VPN_ADDRESS = "10.20.250.17"
"""Where the supplier comes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSpec:
    """What to generate; equal specs give equal bytes.

    Attributes:
        hosts: Windows hosts, 20 and more.
        days: Length of the window, which ends at ``end`` (midnight UTC).
        noise: Factor on the ordinary background; task life does not grow with it.
        sysmon_share: Share of hosts with Sysmon.
        scheduler_channel: Servers on which TaskScheduler/Operational is enabled.
        intrusions: Whether anything malicious happens.
        mended: Sources (``SOURCES``) that are on everywhere, from ``mended_from`` or, where that
            is None, from the start.
    """

    seed: int = 7
    hosts: int = 240
    days: int = 14
    end: datetime = DEFAULT_END
    noise: float = 1.0
    sysmon_share: float = 0.4
    scheduler_channel: int = 0
    intrusions: bool = True
    mended: tuple[str, ...] = ()
    mended_from: datetime | None = None

    def __post_init__(self) -> None:
        if self.hosts < FEWEST_HOSTS or self.days < 1:
            raise DomainError(f"a lab needs {FEWEST_HOSTS} hosts and one day")
        if self.end.tzinfo is None or self.end.astimezone(UTC).time() != time():
            raise DomainError("a lab's window ends at midnight UTC")
        if self.noise <= 0 or not 0 <= self.sysmon_share <= 1:
            raise DomainError("noise must be above 0, sysmon_share within 0 and 1")
        if self.start.year < FIRST_YEAR:
            raise DomainError(f"a lab starts in {FIRST_YEAR} or later")
        unknown = set(self.mended) - set(SOURCES)
        if unknown:
            raise DomainError(f"unknown sources: {sorted(unknown)}", hint=f"one of {SOURCES}")

    @property
    def start(self) -> datetime:
        """The first moment of the window."""
        return self.end - timedelta(days=self.days)

    @property
    def calendar(self) -> tuple[date, ...]:
        """The UTC days of the window."""
        first = self.start.astimezone(UTC).date()
        return tuple(first + timedelta(days=n) for n in range(self.days))

    def following(self, days: int = 2, mended: tuple[str, ...] = ()) -> "LabSpec":
        """The same company in the next days, quiet, with some sources switched on meanwhile."""
        return replace(
            self,
            days=days,
            end=self.end + timedelta(days=days),
            intrusions=False,
            mended=(*self.mended, *mended),
            mended_from=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine.

    Attributes:
        name: Short name in upper case; ``fqdn`` is what events carry.
        user: Whose desk it is; None for servers.
        logs: Sources of ``SOURCES`` that are on.
        uid: Prefix of its Sysmon process GUIDs.
    """

    name: str
    ip: str
    group: str
    role: str
    user: Account | None
    logs: frozenset[str]
    always_on: bool
    uid: str

    @property
    def fqdn(self) -> str:
        """The name as ``Computer`` has it."""
        return f"{self.name}.{DNS}"

    @property
    def is_server(self) -> bool:
        """Servers run round the clock."""
        return self.group == "server"


@dataclass(frozen=True, kw_only=True)
class Company:
    """The company of one spec."""

    spec: LabSpec
    domain_sid: str
    hosts: tuple[Host, ...]
    accounts: Mapping[str, Account] = field(repr=False)

    @cached_property
    def by_name(self) -> Mapping[str, Host]:
        """Hosts by short name."""
        return {host.name: host for host in self.hosts}

    def group(self, name: str) -> tuple[Host, ...]:
        """Hosts of one of ``SHARES``."""
        return self._groups[name]

    def server(self, code: str) -> Host:
        """The first server of a role code, or the first server there is."""
        servers = self.group("server")
        return next((host for host in servers if f"-{code}-" in host.name), servers[0])

    @cached_property
    def _groups(self) -> dict[str, tuple[Host, ...]]:
        return {name: tuple(h for h in self.hosts if h.group == name) for name in SHARES}

    @cached_property
    def admins(self) -> tuple[Account, ...]:
        """Personal administration accounts."""
        return tuple(a for name, a in self.accounts.items() if name.startswith("adm-"))

    @cached_property
    def desks(self) -> tuple[Host, ...]:
        """Hosts that somebody sits at."""
        return tuple(host for host in self.hosts if host.user is not None)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {host.name: number for number, host in enumerate(self.hosts)}

    def number(self, host: Host) -> int:
        """The place of a host among all."""
        return self._numbers[host.name]

    def admin_desk(self, admin: Account) -> Host:
        """The workstation from which an administrator works."""
        offices = self.group("hamburg")
        return offices[self.admins.index(admin) % len(offices)]

    def since(self, host: Host, source: str) -> int:
        """Microseconds from which a source logs on a host; ``NEVER`` where it does not."""
        if source in host.logs:
            return 0
        if source in self.spec.mended:
            return micros(self.spec.mended_from) if self.spec.mended_from else 0
        return NEVER

    def profile(self) -> Profile:
        """What the company would tell Huntonce of itself."""
        return Profile(
            name="Ostermark Antriebe (lab)",
            sectors=("manufacturing",),
            regions=("europe", "germany", "czechia"),
            technologies=("windows", "active-directory"),
            change_windows=(CHANGE_WINDOW,),
            privileged_accounts=(
                f"{DOMAIN}\\adm-*",
                f"{DOMAIN}\\Administrator",
                f"{DOMAIN}\\svc-swdeploy",
                f"{DOMAIN}\\svc-backup",
            ),
            task_authors=(f"{DOMAIN}\\svc-swdeploy", f"{DOMAIN}\\svc-backup"),
            internal_names=(DNS, DOMAIN),
            internal_networks=("10.0.0.0/8",),
            assets=tuple(Asset(host=h.name, ip=h.ip, role=h.role) for h in self.hosts),
            gap_owner="windows-platform",
        )


CHANGE_WINDOW = ChangeWindow(days=(1, 3), start=time(22), end=time(2), zone=ZONE_NAME)


def build_company(spec: LabSpec) -> Company:
    """The company of a spec; its hosts and people depend on the seed and the size alone."""
    rng = dice(spec.seed, "company")
    domain_sid = "S-1-5-21-" + "-".join(str(rng.randrange(10**8, 4 * 10**9)) for _ in range(3))
    counts = _counts(spec.hosts)
    staff = people(rng, DOMAIN, domain_sid, spec.hosts - counts["server"])
    desks = iter(staff.desks)
    hosts = []
    for group, count in counts.items():
        for number in range(count):
            user = None if group == "server" else next(desks)
            hosts.append(_host(spec, group, number, user))
    return Company(spec=spec, domain_sid=domain_sid, hosts=tuple(hosts), accounts=staff.accounts)


def _counts(hosts: int) -> dict[str, int]:
    whole = sum(SHARES.values())
    counts = {name: max(1, round(hosts * share / whole)) for name, share in SHARES.items()}
    counts["server"] = max(4, counts["server"])
    counts[SHOP_FLOOR] = min(LARGEST_SHOP_FLOOR, counts[SHOP_FLOOR])
    counts["hamburg"] += hosts - sum(counts.values())
    return counts


def _host(spec: LabSpec, group: str, number: int, user: Account | None) -> Host:
    site = SITES[group]
    if group == "server":
        code = SERVER_ROLES[number % len(SERVER_ROLES)]
        name, role = f"{site}-{code}-{number + 1:02d}", ROLE_WORDS[code]
    else:
        kind, role = ("LN", "shop-floor terminal") if group == SHOP_FLOOR else ("PC", "workstation")
        name = f"{site}-{kind}-{number + 1:04d}"
    rng = dice(spec.seed, "host", name)
    logs = set()
    if group != SHOP_FLOOR:
        logs.add(TASK_AUDITING)
    if group != "brno":
        logs.add(COMMAND_LINE)
    # Spread evenly, so that the share holds in every group, whatever the seed.
    if number * GOLDEN % 1 < spec.sysmon_share:
        logs.add(SYSMON)
    if group == "server" and number < spec.scheduler_channel:
        logs.add(SCHEDULER_CHANNEL)
    return Host(
        name=name,
        ip=_ip(group, number),
        group=group,
        role=role,
        user=user,
        logs=frozenset(logs),
        always_on=group in {"server", SHOP_FLOOR} or rng.random() < 0.35,  # noqa: PLR2004
        uid=f"{rng.getrandbits(32):08X}",
    )


def _ip(group: str, number: int) -> str:
    second, third = NETS[group]
    block, last = divmod(number, LARGEST_SHOP_FLOOR)
    if block:  # beyond the first /24 a group goes on in a net of its own
        second, third = 30 + list(NETS).index(group), block
        second, third = second + third // 256 * len(NETS), third % 256
    return f"10.{second}.{third}.{10 + last}"
