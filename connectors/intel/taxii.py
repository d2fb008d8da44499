"""TAXII 2.1 as a source of intel.

The cursor is the server's own ``X-TAXII-Date-Added-Last`` string, never a STIX ``modified``, and
it moves only when the server has said that there is no more. The next pull asks a little further
back than the cursor, since some servers let an object become visible after a later one; the store
knows what it already holds.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from huntonce.connectors.http.client import Reply
from huntonce.connectors.intel.batch import Intake, IntelBatch, refusal
from huntonce.connectors.intel.forms import is_time, time_key
from huntonce.connectors.intel.selection import Selection
from huntonce.connectors.intel.taxii_endpoint import TaxiiEndpoint
from huntonce.connectors.intel.taxii_pages import TIME_FORMAT, TOO_LARGE, Asker, Page
from huntonce.models.errors import ConnectorError, TerminalError, TransientError
from huntonce.models.ids import digest
from huntonce.models.intake import NOTHING
from huntonce.models.setaside import SetAside
from huntonce.models.tlp import MARKINGS, Levels, Tlp
from huntonce.models.windows import utc

MAX_EMPTY_PAGES = 5
MAX_RESTARTS = 3
MAX_REPEATS = 3
MAX_PAGES = 100_000
MAX_PULL_BYTES = 32 * 1024**3
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
        wanted: What is taken of what the server has.
        since: Only what was added after it; None: all that there is.
        markings: TLP markings that are known already, by id.
        attempts: How often a page is asked for while the server fails or is busy.
        sleep: Waits between them; replaced in tests.
        max_pages, max_bytes: Where a pull is given up: no collection is that large.
    """

    page_size: int = 1000
    default_tlp: Tlp = Tlp.AMBER
    overlap_seconds: float = 30.0
    wanted: Selection = field(default_factory=Selection)
    since: datetime | None = None
    markings: Levels = field(default_factory=lambda: dict(MARKINGS))
    attempts: int = 3
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    max_pages: int = MAX_PAGES
    max_bytes: int = MAX_PULL_BYTES

    @property
    def selection(self) -> str:
        """What is selected, as a hash: the stored cursor counts for the same selection only."""
        wanted = self.wanted
        parts = (
            self.collection_url or self.discovery_url,
            self.collection,
            sorted(wanted.types),
            sorted(wanted.labels),
            wanted.max_tlp,
            self.since,
        )
        return digest(*parts)

    def pull(
        self, cursor: str | None = None, *, whole: Mapping[str, int] = NOTHING
    ) -> Iterator[IntelBatch]:
        """A batch a page, every version of every object; the last batch carries the cursor.

        Pages do not come again as they are, so that ``whole`` is of no use here.

        Raises:
            TransientError: The server cannot be reached or is busy.
            TerminalError: It refuses, is not TAXII 2.1, or its paging does not come to an end.
        """
        del whole
        with self.client() as client:
            url = self.locate(client)
            asker = Asker(self.name, client, url, self.attempts, self.sleep)
            yield from _Pull(self, asker, url, cursor).batches()


@dataclass(slots=True)
class _Pull:
    """One pull on its way through the pages.

    Attributes:
        after, token: Where the next page starts.
        newest: The cursor so far.
        limit: Objects to ask for at once; less than was set, where that was too much.
        began: When the pull began, by the server's clock.
        ties: Dates at which the server has more objects than it gives at once.
        honest: Whether the server's dates are those of the objects; None: not looked yet.
    """

    source: TaxiiSource
    asker: Asker
    url: str
    cursor: str | None
    after: str = ""
    token: str = ""
    newest: str | None = None
    reached: str = ""
    empty: int = 0
    restarts: int = 0
    repeats: int = 0
    pages: int = 0
    size: int = 0
    limit: int = 0
    seen: set[bytes] = field(default_factory=set)
    ties: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[IntelBatch]:
        """The pages as batches."""
        source = self.source
        intake = Intake(self.url, source.default_tlp, dict(source.markings), source.wanted)
        self.newest = self.cursor
        self.limit = source.page_size
        if self.cursor:
            self.after = _earlier(self.cursor, source.overlap_seconds)
        elif source.since:
            self.after = utc(source.since).strftime(TIME_FORMAT)
        count, finished = 0, False
        while not finished:
            page = self._fetch()
            if page is None:
                continue
            objects, refused = intake.take(page.bodies, first=None)
            count += len(page.bodies)
            self.newest = _later(self.newest, page.last_added)
            finished = not page.more
            if page.more:
                self._advance(page)
            yield IntelBatch(
                objects=objects,
                set_aside=(*refused, *self._lost(finished=finished)),
                cursor=self.newest if finished else None,
                skipped=intake.skipped,
            )
        _LOG.info("%s: %d objects pulled", self.source.name, count)

    def _lost(self, *, finished: bool) -> tuple[SetAside, ...]:
        """What could not be asked for, told with the last page."""
        return tuple(
            refusal(
                self.url,
                f"objects added at {date}",
                "some may be missing: the server gives no way past the first page of them",
                hint="ask the server's owner for paging by next, or to allow larger pages",
            )
            for date in (dict.fromkeys(self.ties) if finished else ())
        )

    def _fetch(self) -> Page | None:
        """The next page; None where it has to be asked for in another way."""
        try:
            reply = self._ask()
        except TransientError as error:
            if not self.token or self.source.attempts == 1:
                raise
            # Some servers forget a token as they use it, and the same one then stands for the
            # page after the one that was lost: it is not asked for again by its token.
            self.asker.wait(error, 1)
            self._restart(error)
            return None
        if reply.status == TOO_LARGE:
            self.limit = max(self.limit // 4, 1)
            _LOG.warning("%s: too much at once, asking for %d", self.source.name, self.limit)
            return None
        if reply.status in _EXPIRED:
            self._restart(
                TransientError(
                    f"{self.source.name}: the server forgets its paging tokens before they are"
                    " used",
                    connector=self.source.name,
                    hint="try a larger page size, or later",
                )
            )
            return None
        return self.asker.page(reply)

    def _ask(self) -> Reply:
        params = {"limit": str(self.limit), "match[version]": "all"}
        types = self.source.wanted.match_types
        if types:
            params["match[type]"] = types
        if self.after:
            params["added_after"] = self.after
        if self.token:
            params["next"] = self.token
        accept = _EXPIRED if self.token else frozenset[int]()
        if self.limit > 1:
            accept |= {TOO_LARGE}
        return self.asker.ask("objects/", params, accept, attempts=1 if self.token else 0)

    def _restart(self, why: ConnectorError) -> None:
        """Go on from the date that was reached, without the token.

        Raises:
            ConnectorError: ``why``, where that has not helped several times.
        """
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            raise why
        _LOG.warning("%s: going on from the date that was reached (%s)", self.source.name, why)
        self.token = ""
        self.seen.clear()
        if self.reached:
            self.after = _earlier(self.reached, _BACK)

    def _advance(self, page: Page) -> None:
        """Aim at the page after this one."""
        self.pages += 1
        self.size += sum(map(len, page.bodies))
        if self.pages >= self.source.max_pages or self.size >= self.source.max_bytes:
            raise self._stuck(f"{self.pages} pages with {self.size} bytes came, and there is more")
        repeated = bool(page.bodies) and page.digest in self.seen
        self.seen.add(page.digest)
        self.empty = 0 if page.bodies else self.empty + 1
        if page.bodies:
            self.repeats = self.repeats + 1 if repeated else 0
        self._progress(page)
        if self.empty > MAX_EMPTY_PAGES:
            raise self._stuck(f"it sent {self.empty} empty pages and says that there is more")
        again = self._stuck("it sends the same page again and again")
        if self.repeats > MAX_REPEATS:
            raise again
        if page.next and repeated:
            self._restart(again)
            return
        if page.next:
            self.token = page.next
            return
        if not page.last_added:
            raise self._stuck("it says that there is more, but not where")
        self.token = ""
        self._go_on_by_date(page.last_added)

    def _go_on_by_date(self, last: str) -> None:
        """Aim behind a date, for servers that give no token.

        Objects of one POST often share a date: step back a little, so that a page's end between
        them loses none. Where that brings the same page, it may be a slip of a cache; then ask
        for more at once; only then go on without the rest of that date, and say so.
        """
        match self.repeats:
            case 0:
                back = _earlier(last, _TIE)
                # Not behind a date that was passed for good: it would bring the same pages.
                self.after = _later(self.ties[-1], back) or back if self.ties else back
            case 1:
                pass
            case 2:
                self.limit *= 10
            case _:
                self.after = last
                self.ties.append(last)

    def _progress(self, page: Page) -> None:
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
    return moved.strftime(TIME_FORMAT)


def _later(held: str | None, given: str) -> str | None:
    if not given:
        return held
    if held and is_time(held) and is_time(given) and time_key(held) > time_key(given):
        return held
    return given
