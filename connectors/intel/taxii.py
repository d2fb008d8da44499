"""TAXII 2.1 as a source of intel.

The cursor is the server's own ``X-TAXII-Date-Added-Last`` string, never a STIX ``modified``, and
it moves only when the server has said that there is no more. The next pull asks a little further
back than the cursor, since some servers let an object become visible after a later one; the store
knows what it already holds.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from huntonce.connectors.http.client import HttpClient
from huntonce.connectors.intel.batch import Intake, IntelBatch
from huntonce.connectors.intel.checks import is_time, time_key
from huntonce.connectors.intel.scan import scan
from huntonce.connectors.intel.taxii_endpoint import TaxiiEndpoint
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.tlp import Tlp

MAX_EMPTY_PAGES = 5
MAX_RESTARTS = 3
_BACK = 1.0
_TIE = 0.001
_EXPIRED = frozenset({400, 404})
_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class TaxiiSource(TaxiiEndpoint):
    """A collection that intel is pulled from.

    Attributes:
        page_size: Objects to ask for at once; the server may give fewer.
        default_tlp: What unmarked objects count as.
        overlap_seconds: How far before the cursor a pull starts. 0 is right for servers whose
            ``date_added`` rises with every commit, as ours does.
    """

    page_size: int = 1000
    default_tlp: Tlp = Tlp.AMBER
    overlap_seconds: float = 30.0

    def pull(self, cursor: str | None = None) -> Iterator[IntelBatch]:
        """A batch a page, every version of every object; the last batch carries the cursor.

        Raises:
            TransientError: The server cannot be reached or is busy.
            TerminalError: It refuses, is not TAXII 2.1, or its paging does not come to an end.
        """
        with self.client() as client:
            url = self.locate(client)
            yield from _Pull(self, client, url, cursor).batches()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    bodies: tuple[bytes, ...]
    more: bool
    next: str
    last_added: str

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(b"\n".join(self.bodies)).digest()


@dataclass(slots=True)
class _Pull:
    """One pull on its way through the pages.

    Attributes:
        after, token: Where the next page starts.
        exact: ``after`` was taken as the server gave it, not a little earlier.
        newest: The cursor so far.
    """

    source: TaxiiSource
    client: HttpClient
    url: str
    cursor: str | None
    after: str = ""
    token: str = ""
    exact: bool = False
    newest: str | None = None
    reached: str = ""
    empty: int = 0
    restarts: int = 0
    seen: set[bytes] = field(default_factory=set)

    def batches(self) -> Iterator[IntelBatch]:
        """The pages as batches."""
        intake = Intake(self.url, self.source.default_tlp)
        self.newest = self.cursor
        self.after = _earlier(self.cursor, self.source.overlap_seconds) if self.cursor else ""
        count, finished = 0, False
        while not finished:
            page = self._fetch()
            if page is None:
                continue
            objects, refused = intake.take(page.bodies, first=count + 1)
            count += len(page.bodies)
            self.newest = _later(self.newest, page.last_added)
            finished = not page.more
            if page.more:
                self._advance(page)
            yield IntelBatch(
                objects=objects, set_aside=refused, cursor=self.newest if finished else None
            )
        _LOG.info("%s: %d objects pulled", self.source.name, count)

    def _fetch(self) -> _Page | None:
        """The next page; None where the server forgot the token and the pull starts again."""
        params = {"limit": str(self.source.page_size), "match[version]": "all"}
        if self.after:
            params["added_after"] = self.after
        if self.token:
            params["next"] = self.token
        accept = _EXPIRED if self.token else frozenset[int]()
        reply = self.client.get(f"{self.url}objects/", params=params, accept=accept)
        if reply.status in _EXPIRED:
            self._restart()
            return None
        document = scan(reply.body)
        if document.fault and document.has_objects:
            raise TransientError(
                f"{self.source.name}: a page broke off: {document.fault}",
                connector=self.source.name,
            )
        bundle = document.fields.get("type") == "bundle"
        if document.fault or bundle or not document.is_object:
            raise TerminalError(
                f"{self.source.name}: the answer is not a TAXII 2.1 envelope",
                connector=self.source.name,
                hint="check the address; TAXII 2.0 servers are not supported",
            )
        token = document.fields.get("next")
        return _Page(
            bodies=tuple(document.objects),
            more=document.fields.get("more") is True,
            next=token if isinstance(token, str) else "",
            last_added=reply.headers.get("X-TAXII-Date-Added-Last", ""),
        )

    def _restart(self) -> None:
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            raise TransientError(
                f"{self.source.name}: the server forgets its paging tokens before they are used",
                connector=self.source.name,
                hint="try a larger page size, or later",
            )
        _LOG.warning("%s: paging token expired, going on from date_added", self.source.name)
        self.token = ""
        self.seen.clear()
        if self.reached:
            self.after = _earlier(self.reached, _BACK)

    def _advance(self, page: _Page) -> None:
        """Aim at the page after this one."""
        repeated = bool(page.bodies) and page.digest in self.seen
        self.seen.add(page.digest)
        self.empty = 0 if page.bodies else self.empty + 1
        self._progress(page)
        if repeated and (page.next or self.exact or not page.last_added):
            raise self._stuck("it sends the same page again and again")
        if self.empty > MAX_EMPTY_PAGES:
            raise self._stuck(f"it sent {self.empty} empty pages and says that there is more")
        if page.next:
            self.token = page.next
            return
        if not page.last_added:
            raise self._stuck("it says that there is more, but not where")
        # Objects of one POST often share a date_added: step back a little, so that a page's end
        # between them loses none; where that leads to the same page again, go on without it.
        self.exact = repeated
        self.token = ""
        self.after = page.last_added if repeated else _earlier(page.last_added, _TIE)

    def _progress(self, page: _Page) -> None:
        """A pull that gets further after each restart is not stuck."""
        if _later(self.reached or None, page.last_added) != (self.reached or None):
            self.reached = page.last_added
            self.restarts = 0

    def _stuck(self, why: str) -> TerminalError:
        return TerminalError(
            f"{self.source.name}: the server's paging does not end: {why}",
            connector=self.source.name,
            hint="what it sent so far was taken; tell the server's owner",
        )


def _earlier(text: str, seconds: float) -> str:
    """A server's timestamp moved back; as it is where it is none of ours to read."""
    if seconds <= 0 or not is_time(text):
        return text
    # Truncation to microseconds moves it back a little further, which is the safe side.
    moment = datetime.fromisoformat(f"{time_key(text)[:26]}+00:00")
    try:
        moved = moment - timedelta(seconds=seconds)
    except OverflowError:
        return text
    return moved.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _later(held: str | None, given: str) -> str | None:
    if not given:
        return held
    if held and is_time(held) and is_time(given) and time_key(held) > time_key(given):
        return held
    return given
