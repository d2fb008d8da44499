"""One host as it runs: clock, record ids, logon sessions, processes; from acts to events."""

from collections.abc import Callable
from datetime import UTC, date
from functools import partial
from heapq import heappop, heappush
from itertools import count

from huntonce.models.lab.clockwork import SECOND, dice
from huntonce.models.lab.company import (
    COMMAND_LINE,
    DOMAIN,
    SCHEDULER_CHANNEL,
    SYSMON,
    TASK_AUDITING,
    Company,
    Host,
)
from huntonce.models.lab.events import (
    NETWORK,
    SECURITY,
    SERVICE,
    SYSMON_CHANNEL,
    TASK_CHANNEL,
    Data,
    LabEvent,
    Process,
    Session,
)
from huntonce.models.lab.payloads import (
    Origin,
    logged_off,
    logged_on,
    privileged,
    process_created,
    sysmon_process,
)
from huntonce.models.lab.people import Account

Act = Callable[["Machine"], None]
SYS32 = "C:\\Windows\\System32\\"
TASK_EVENTS = frozenset({4698, 4699, 4700, 4701, 4702})
RECORDS_A_DAY = 800
"""More than a host uses up, so that a later window of the same host has higher ids."""
LOG_EPOCH = date(2020, 1, 1).toordinal()
REMEMBERED_PIDS = 400

_BOOT = (
    ("smss", "system", "smss.exe", "\\SystemRoot\\System32\\smss.exe"),
    ("wininit", "smss", "wininit.exe", "wininit.exe"),
    ("winlogon", "smss", "winlogon.exe", "winlogon.exe"),
    ("services", "wininit", "services.exe", "C:\\Windows\\system32\\services.exe"),
    ("lsass", "wininit", "lsass.exe", "C:\\Windows\\system32\\lsass.exe"),
    ("dcom", "services", "svchost.exe", "C:\\Windows\\system32\\svchost.exe -k DcomLaunch -p"),
    ("schedule", "services", "svchost.exe",
     "C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s Schedule"),
    ("profile", "services", "svchost.exe",
     "C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s UserManager"),
    ("update", "services", "svchost.exe",
     "C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s wuauserv"),
    ("search", "services", "SearchIndexer.exe",
     "C:\\Windows\\system32\\SearchIndexer.exe /Embedding"),
    ("sysmon", "services", "C:\\Windows\\Sysmon64.exe", "C:\\Windows\\Sysmon64.exe"),
)  # fmt: skip
"""What runs since boot, before the window: key, parent's key, file, command line."""


class Machine:
    """A host under simulation. Acts are done in the order of their time; events follow them.

    Attributes:
        clock: Microseconds; only goes forward, so record ids grow with time.
        mark: The planted intrusion whose act is being done.
        desk: The interactive session of whoever sits there.
        shell: Its explorer.exe.
        at_logon: Acts, with their marks, that follow when the user logs on.
        overnight: Local dates on which nobody logs off.
        generations: How often a product has renewed its tasks.
        hijacked: Paths of tasks that an intruder has changed: upkeep leaves them alone.
    """

    def __init__(self, company: Company, host: Host) -> None:
        spec = company.spec
        self.company = company
        self.host = host
        self.rng = dice(spec.seed, "machine", host.name, spec.start.astimezone(UTC).date())
        self.clock = 0
        self.mark = ""
        self.desk: Session | None = None
        self.shell: Process | None = None
        self.hijacked: set[str] = set()
        self.overnight: set[str] = set()
        self.at_logon: list[tuple[str, Act]] = []
        self.generations: dict[str, int] = {}
        self._heap: list[tuple[int, int, str, Act]] = []
        self._sequence = count()
        self._out: list[LabEvent] = []
        day = spec.calendar[0].toordinal() - LOG_EPOCH
        base = dice(spec.seed, "records", host.name).randrange(500_000)
        pace = round(RECORDS_A_DAY * max(1.0, spec.noise))
        self._records = {
            SECURITY: 3 * base + day * pace,
            SYSMON_CHANNEL: base + day * pace,
            TASK_CHANNEL: base // 2 + day * pace,
        }
        self._since = {
            source: company.since(host, source)
            for source in (TASK_AUDITING, COMMAND_LINE, SCHEDULER_CHANNEL, SYSMON)
        }
        self._pids: dict[int, None] = {}
        self._serial = 0x1000 + self.rng.randrange(0x8000)
        self._boot(spec.start.timestamp())

    def _boot(self, start: float) -> None:
        host = self.host
        self._logon = 0x40000 + self.rng.randrange(0xFFFFF)
        mine = Account(DOMAIN, f"{host.name}$", "S-1-5-18")
        self.system = self._session(mine, "0x3e7", SERVICE, elevated=True)
        self.network_service = self._session(
            Account(DOMAIN, f"{host.name}$", "S-1-5-20"), "0x3e4", SERVICE, elevated=True
        )
        self.clock = int((start - 3600 * self.rng.randrange(20, 400)) * SECOND)
        root = Process(4, "System", "", self.system, None, self._guid())
        self.running = {"system": root}
        for key, parent, file, command in _BOOT:
            image = file if ":" in file else SYS32 + file
            above = self.running[parent]
            self.running[key] = Process(
                self._pid(), image, command, self.system, above, self._guid()
            )
        self.clock = 0

    # -------------------------------------------------------------------------------- time

    def at(self, moment: int, act: Act, mark: str = "") -> None:
        """Do something at a moment; follow-ups of a marked act are marked too."""
        if not moment % SECOND:  # a whole second is a plan, and nothing keeps to it
            moment += int(self.rng.random() * SECOND)
        heappush(self._heap, (moment, next(self._sequence), mark or self.mark, act))

    def after(self, seconds: float, act: Act) -> None:
        """Do something later."""
        self.at(self.clock + int(seconds * SECOND), act)

    def run_until(self, limit: int) -> list[LabEvent]:
        """Do everything due before a moment; the events since the last call, in order."""
        heap = self._heap
        while heap and heap[0][0] < limit:
            moment, _, self.mark, act = heappop(heap)
            self.clock = max(self.clock, moment)
            act(self)
        self.mark = ""
        done, self._out = self._out, []
        return done

    # ------------------------------------------------------------------------------ events

    def emit(
        self, channel: str, event_id: int, data: Data, writer: Process, activity: str = ""
    ) -> None:
        """Write an event, unless this host does not log it; lost ones use up record ids too."""
        chance = self.rng.random()
        self.clock += 60 + int(chance * 900)
        record = self._records[channel] = self._records[channel] + 1 + int(chance * 3)
        if event_id in TASK_EVENTS and self.clock < self._since[TASK_AUDITING]:
            return
        self._out.append(
            LabEvent(
                self.host.name,
                self.host.fqdn,
                channel,
                event_id,
                record,
                self.clock,
                writer.pid,
                4 * (100 + int(chance * 2000)),
                activity,
                data,
                self.mark,
            )
        )

    def audit(self, event_id: int, data: Data, activity: str = "") -> None:
        """Write a Security event."""
        writer = self.running["system" if event_id == 4688 else "lsass"]  # noqa: PLR2004
        self.emit(SECURITY, event_id, data, writer, activity)

    @property
    def has_sysmon(self) -> bool:
        """Whether Sysmon runs now."""
        return self.clock >= self._since[SYSMON]

    @property
    def has_task_channel(self) -> bool:
        """Whether TaskScheduler/Operational is enabled now."""
        return self.clock >= self._since[SCHEDULER_CHANNEL]

    # ------------------------------------------------------------------------------ logons

    def _session(self, account: Account, logon_id: str, kind: int, *, elevated: bool) -> Session:
        low = int(logon_id, 16)
        self._serial += 1
        guid = f"{self.host.uid}-{self._serial & 0xFFFF:04X}-0000-2000-{low:012X}"
        return Session(account, logon_id, kind, elevated=elevated, guid=guid)

    def logon(
        self, account: Account, kind: int, origin: Origin, *, elevated: bool = False
    ) -> Session:
        """4624, and 4672 for a session with privileges.

        Administration accounts and computers have them; others where ``elevated`` says that the
        account is a local administrator here, by whatever way.
        """
        self._logon += 0x200 + self.rng.getrandbits(14)
        powers = elevated or account.is_admin or account.name.endswith("$")
        session = self._session(account, hex(self._logon), kind, elevated=powers)
        self.audit(4624, logged_on(session, self.system, origin))
        if powers:
            self.audit(4672, privileged(session))
        return session

    def service_logon(self) -> None:
        """services.exe starts something as SYSTEM: 4624 type 5 and 4672."""
        origin = Origin("-", 0, "-", "Advapi  ", "Negotiate", self.running["services"])
        self.audit(4624, logged_on(self.system, self.system, origin))
        self.audit(4672, privileged(self.system))

    def logoff(self, session: Session) -> None:
        """4634."""
        self.audit(4634, logged_off(session))

    def network_logon(self, account: Account, ip: str, seconds: float) -> Session:
        """Kerberos from an address, ended after a while."""
        session = self.logon(account, NETWORK, self.kerberos(ip))
        self.after(seconds, partial(_log_off, session))
        return session

    def kerberos(self, ip: str) -> Origin:
        """A network logon by Kerberos, which names no workstation."""
        return Origin(ip, 49152 + self.rng.getrandbits(14), "-", "Kerberos", "Kerberos", None)

    # --------------------------------------------------------------------------- processes

    def start(
        self, image: str, command: str, parent: Process, session: Session | None = None
    ) -> Process:
        """4688, and Sysmon 1 where there is Sysmon."""
        owner = session or parent.session
        child = Process(self._pid(), image, command, owner, parent, self._guid())
        shown = command if self.clock >= self._since[COMMAND_LINE] else ""
        self.audit(4688, process_created(child, parent, shown))
        if self.clock >= self._since[SYSMON]:
            data = sysmon_process(child, parent, self.clock)
            self.emit(SYSMON_CHANNEL, 1, data, self.running["sysmon"])
        return child

    def _guid(self) -> str:
        second = self.clock // SECOND & 0xFFFFFFFF
        serial = self._serial = self._serial + 1
        return (
            f"{self.host.uid}-{second & 0xFFFF:04X}-{second >> 16:04X}-"
            f"{serial & 0xFFFF:04X}-{serial >> 16:04X}00000700"
        )

    def _pid(self) -> int:
        pids = self._pids
        while True:
            pid = 4 * (150 + int(self.rng.random() * 4600))
            if pid not in pids:
                break
        pids[pid] = None
        if len(pids) > REMEMBERED_PIDS:
            # Boot processes keep theirs; the oldest of the others is free again.
            del pids[next(p for i, p in enumerate(pids) if i >= len(_BOOT))]
        return pid


def _log_off(session: Session, machine: Machine) -> None:
    machine.logoff(session)
