"""Asking a TAXII server for one page: patience with faults, and doubt of dates."""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from huntonce.connectors.http.client import HttpClient, Reply
from huntonce.connectors.intel.forms import is_time, time_key
from huntonce.connectors.intel.scan import scan
from huntonce.connectors.intel.taxii_publish import outgoing
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.windows import utc

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How TAXII writes times."""
TOO_LARGE = 413
MAX_WAIT = 120.0
"""Seconds: a server that wants us to wait longer is left to the next pull."""
_PAUSES = (1.0, 5.0)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to a request for objects.

    Attributes:
        bodies: JSON of one object each, as written.
        next: Token of the page after it; "" where the server gives none.
        last_added: When its last object was added, in the server's own text; "" if unknown.
    """

    bodies: tuple[bytes, ...]
    more: bool
    next: str
    last_added: str

    @property
    def digest(self) -> bytes:
        """The same for the same objects in the same order."""
        return hashlib.sha256(b"\n".join(self.bodies)).digest()


@dataclass(slots=True)
class Asker:
    """Asks one collection.

    Attributes:
        url: The collection's address, with a slash at the end.
        attempts: How often a page is asked for while the server fails or is busy; 1 or more.
        began: When the first answer was asked for, by the server's clock.
        honest: Whether the server's dates are those of the objects; None: not looked yet.
    """

    name: str
    client: HttpClient
    url: str
    attempts: int
    sleep: Callable[[float], None]
    began: datetime | None = None
    honest: bool | None = None

    def ask(
        self, path: str, params: Mapping[str, str], accept: frozenset[int], attempts: int = 0
    ) -> Reply:
        """The answer, asked for again while the server fails, as long as it wants us to wait.

        Raises:
            TransientError: It failed each time, or wants us to wait too long.
            TerminalError: It refuses.
        """
        attempts = attempts or self.attempts
        for attempt in range(1, attempts + 1):
            asked = time.monotonic()
            try:
                reply = self.client.get(f"{self.url}{path}", params=params, accept=accept)
                if self.began is None:
                    self.began = _date(reply, time.monotonic() - asked)
                if reply.status not in accept:
                    self._whole(reply)
            except TransientError as error:
                if attempt == attempts:
                    raise
                self.wait(error, attempt)
            else:
                return reply
        raise AssertionError("attempts is at least 1")

    def wait(self, error: TransientError, attempt: int) -> None:
        """Wait as long as the server asked for after this fault, else a little.

        Raises:
            TransientError: The given one, where that would be too long.
        """
        pause = error.retry_after
        if pause is None:
            pause = _PAUSES[min(attempt, len(_PAUSES)) - 1]
        if pause > MAX_WAIT:
            raise error
        _LOG.warning("%s: %s; again in %g s", self.name, error, pause)
        self.sleep(pause)

    def page(self, reply: Reply) -> Page:
        """An answer's objects.

        Raises:
            TransientError: It broke off.
            TerminalError: It is no TAXII 2.1.
        """
        document = scan(reply.body)
        if document.fault and document.has_objects:
            raise TransientError(
                f"{self.name}: a page broke off: {document.fault}",
                connector=self.name,
            )
        bundle = document.fields.get("type") == "bundle"
        if document.fault or bundle or not document.is_object:
            raise TerminalError(
                f"{self.name}: the answer is not a TAXII 2.1 envelope",
                connector=self.name,
                hint="check the address; TAXII 2.0 servers are not supported",
            )
        token = document.fields.get("next")
        bodies = tuple(document.objects)
        return Page(
            bodies=bodies,
            more=document.fields.get("more") is True,
            next=token if isinstance(token, str) else "",
            last_added=self._added(reply.headers.get("X-TAXII-Date-Added-Last", ""), bodies),
        )

    def _whole(self, reply: Reply) -> None:
        """A page that broke off is a fault of the way, and is asked for again."""
        text = reply.body.strip()
        if text.startswith(b"{") and not text.endswith(b"}"):
            raise TransientError(
                f"{self.name}: a page broke off after {len(reply.body)} bytes",
                connector=self.name,
                hint="the connection or a proxy between cuts answers; it is asked for again",
            )

    def _added(self, given: str, bodies: Sequence[bytes]) -> str:
        """When the page's last object was added, by the server's own word.

        Some servers give the time of their answer instead. A date that is not before the pull
        began is therefore compared with the manifest, and, where there is none, not believed.
        """
        if not given or not is_time(given) or self.began is None or not bodies:
            return given
        start = self.began.strftime(TIME_FORMAT)
        if time_key(given) < time_key(start) or self.honest:
            return given
        real = self._manifest_date(bodies[-1])
        if real and time_key(real) == time_key(given):
            self.honest = True
            return given
        self.honest = False
        return real or start

    def _manifest_date(self, body: bytes) -> str:
        """The manifest's ``date_added`` of this version of an object; "" where it has none."""
        one = outgoing(body.decode("utf-8", "replace"))
        if not one.id:
            return ""
        params = {"match[id]": one.id, "match[version]": "all"}
        try:
            page = self.ask("manifest/", params, frozenset()).json()
        except TerminalError:
            return ""
        entries = page.get("objects") if isinstance(page, dict) else None
        dates = [
            str(entry.get("date_added"))
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, dict)
            and is_time(entry.get("date_added"))
            and (not one.key[1] or _same_time(entry.get("version"), one.version))
        ]
        # Without a version there is one entry; the earliest would be the careful choice of more.
        return min(dates, key=time_key, default="")


def _date(reply: Reply, elapsed: float) -> datetime | None:
    """The server's clock when it was asked, less a little: the header has whole seconds."""
    try:
        moment = parsedate_to_datetime(reply.headers.get("Date", ""))
        given = utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return given - timedelta(seconds=elapsed + 1)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _same_time(value: object, text: str) -> bool:
    return isinstance(value, str) and is_time(value) and time_key(value) == time_key(text)
