"""Search jobs: made, waited for, read a page at a time, and taken away again.

A job is named by us, so that it can be cancelled whatever became of the answer to its making. Only
one that is done, was not cut short by the time it had, and complains of nothing is an answer.
"""

import logging
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from huntonce.connectors.siem.splunk.client import LostError, Splunk, ThereError
from huntonce.models.errors import TerminalError, TransientError

JOBS = "/services/search/v2/jobs"

Result = dict[str, Any]

_ALL_TIME = ("0", "2147483647")
_IDLE = 60
_KEPT = 300
_FIRST_LOOK = 0.02
_LONGEST_LOOK = 2.0
_QUEUE = 120.0
_TIRED = ("auto-finalized", "time limit", "finalized")
_BAD = frozenset({"FATAL", "ERROR"})
_LOG = logging.getLogger(__name__)


class TooSlowError(TransientError):
    """Splunk did not finish within the time it was given; what it found was thrown away."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole seconds of ``_time``, half open: [start, end)."""

    start: int
    end: int

    @property
    def middle(self) -> int:
        """Where it would be split."""
        return self.start + (self.end - self.start) // 2


def pages(
    splunk: Splunk, spl: str, span: Span | None, most: int
) -> Generator[tuple[int, list[Result]]]:
    """The results of one search, at most ``page_size`` at once, each time with how many there are.

    Closing the generator cancels the job, as does any fault.

    Args:
        splunk: Where.
        spl: The search.
        span: In ``_time``; None is all time.
        most: Results that the job keeps; a search that gives more must say so by itself (head).

    Raises:
        TooSlowError: It was cut short.
        TransientError, TerminalError: As ``Splunk.post``; a job that failed.
    """
    sid = f"huntonce_{uuid.uuid4().hex}"
    try:
        _make(splunk, sid, spl, span, most)
        status = _wait(splunk, sid)
        count = int(float(status.get("resultCount") or 0))
        if count > most:
            raise TerminalError(
                f"a search gave {count} results where {most} were asked for",
                connector=splunk.name,
                hint="report it",
            )
        read = 0
        while read < count:
            wanted = {"offset": str(read), "count": str(splunk.settings.page_size)}
            found = splunk.get(f"{JOBS}/{sid}/results", wanted).get("results")
            if not isinstance(found, list) or not found:
                raise TransientError(
                    f"only {read} of {count} results of a search came back",
                    connector=splunk.name,
                    hint="repeat; if it stays, the account's disk quota may be too small",
                )
            read += len(found)
            yield count, found
    finally:
        with suppress(TransientError, TerminalError):
            splunk.post(f"{JOBS}/{sid}/control", {"action": "cancel"})


def results(splunk: Splunk, spl: str, span: Span | None, most: int) -> list[Result]:
    """All results of one search; for those that are few."""
    return [one for _, page in pages(splunk, spl, span, most) for one in page]


def seconds(moment: datetime, slack: float, *, up: bool = False) -> int:
    """Whole seconds since 1970, ``slack`` earlier, or later where rounded up."""
    epoch = moment.astimezone(UTC).timestamp()
    return int(-(-(epoch + slack) // 1)) if up else int((epoch - slack) // 1)


def _make(splunk: Splunk, sid: str, spl: str, span: Span | None, most: int) -> None:
    earliest, latest = (str(span.start), str(span.end)) if span else _ALL_TIME
    form = {
        "search": spl,
        "id": sid,
        "exec_mode": "normal",
        "earliest_time": earliest,
        "latest_time": latest,
        "max_time": str(max(1, int(splunk.settings.timeout))),
        "max_count": str(most),
        "auto_cancel": str(_IDLE),
        "timeout": str(_KEPT),
        "allow_partial_results": "0",
        "adhoc_search_level": "fast",
        "namespace": splunk.settings.app,
    }
    try:
        splunk.post(JOBS, form)
    except LostError as error:
        raise TerminalError(str(error), connector=splunk.name, hint=error.hint) from None
    except ThereError:
        _LOG.debug("%s: job %s was made by a request whose answer was lost", splunk.name, sid)


def _wait(splunk: Splunk, sid: str) -> Mapping[str, Any]:
    """What the job says of itself once it is done."""
    slow = TooSlowError(
        f"the search took longer than {splunk.settings.timeout:g} s",
        connector=splunk.name,
        hint="ask for a shorter window, or raise the time-out in the settings",
    )
    pause, started = _FIRST_LOOK, time.monotonic()
    while True:
        status = _status(splunk, sid)
        state = str(status.get("dispatchState", ""))
        said = _said(status)
        if _true(status.get("isFailed")) or state == "FAILED":
            raise _failed(splunk, said)
        if _true(status.get("isDone")) and state == "DONE":
            if _true(status.get("isFinalized")) or any(
                word in text.lower() for _, text in said for word in _TIRED
            ):
                raise slow
            if any(kind in _BAD for kind, _ in said):
                raise _failed(splunk, said)
            for _, text in said:
                _LOG.info("%s: %s", splunk.name, text)
            return status
        waited = time.monotonic() - started
        if state == "QUEUED" and waited > splunk.settings.timeout + _QUEUE:
            raise TransientError(
                f"the search waited {waited:.0f} s for its turn",
                connector=splunk.name,
                hint="the account's quota of searches is used up; repeat later",
            )
        if state != "QUEUED" and waited > splunk.settings.timeout + _QUEUE:
            raise slow
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_LOOK)


def _status(splunk: Splunk, sid: str) -> Mapping[str, Any]:
    entries = splunk.get(f"{JOBS}/{sid}").get("entry")
    content = entries[0].get("content") if isinstance(entries, list) and entries else None
    if not isinstance(content, dict):
        raise TerminalError(
            "a search job says nothing of itself",
            connector=splunk.name,
            hint="check that the address is Splunk's management port",
        )
    return content


def _said(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Kind (FATAL, ERROR, WARN, INFO, DEBUG) and text of what a job complains of."""
    found = status.get("messages")
    return [
        (str(one.get("type", "")).upper(), str(one.get("text", ""))[:300])
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
    ]


def _failed(splunk: Splunk, said: list[tuple[str, str]]) -> TransientError | TerminalError:
    """A job that failed: for good where the search is at fault, else to be repeated."""
    texts = "; ".join(text for kind, text in said if kind in _BAD)[:300]
    message = f"the search failed: {texts}".rstrip(": ")
    if "Error in" in texts or "Unknown search command" in texts:
        return TerminalError(message, connector=splunk.name, hint="report it")
    return TransientError(
        message, connector=splunk.name, hint="see that Splunk and its peers are healthy, repeat"
    )


def _true(value: object) -> bool:
    return str(value).lower() in {"1", "true"}
