"""Events that may match, however many: a window a job, split where a job cannot do it.

A window whose events are more than a job gives, or for which Splunk runs out of time, is halved.
The parts are read from the oldest to the newest, and each of them in that order.
"""

import math
from collections.abc import Generator, Sequence
from contextlib import closing

from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.splunk import jobs, spl
from huntonce.connectors.siem.splunk.client import LostError, Splunk
from huntonce.connectors.siem.splunk.events import RAW, rows_of
from huntonce.connectors.siem.splunk.jobs import Span, TooSlowError
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.windows import Window

_MAX_LOST = 3


def padded(window: Window, slack: float) -> Span:
    """Whole seconds of ``_time`` in which every event of a window is."""
    start = jobs.seconds(window.start, slack)
    # The slack may be no whole number and the end is exclusive: one second more loses nothing.
    return Span(start, max(start, jobs.seconds(window.end, slack, up=True)) + 1)


def within(window: Window, slack: float) -> str:
    """The test that an event lies in a window for certain, by its ``_time``."""
    start = window.start.timestamp() + slack
    end = window.end.timestamp() - slack
    return f"_time>={start:.6f} AND _time<{end:.6f}" if start < end else "false()"


def events(
    splunk: Splunk, found: Sequence[str], span: Span, subject: str = "probing"
) -> Generator[list[Row]]:
    """The events that some commands leave, a page at a time; also those around the window's edges.

    Args:
        splunk: Where.
        found: The commands, the first of them a search.
        span: In ``_time``.
        subject: What they are read for, in errors.

    Raises:
        TooSlowError: Even one second takes too long.
        TerminalError: One second has more than a job gives, or they are more than was agreed.
        TransientError: As ``jobs.pages``.
    """
    most = splunk.settings.job_size
    command = spl.piped(
        *found, f"eval {RAW}=_raw", f"head {most + 1}", "sort 0 _time", f"table {RAW}, index"
    )
    todo = [span]
    read = lost = 0
    while todo:
        part = todo.pop()
        try:
            with closing(jobs.pages(splunk, command, part, most + 1)) as pages:
                for count, page in pages:
                    if count > most:
                        break
                    read += len(page)
                    _agree(splunk, read, subject)
                    yield rows_of(page, splunk.settings.format)
                else:
                    lost = 0
                    continue
        except LostError as error:
            # Readers tell events apart by their own identity: what comes twice is one.
            lost += 1
            if lost > _MAX_LOST:
                raise TransientError(str(error), connector=splunk.name, hint="repeat") from None
            todo.append(part)
            continue
        except TooSlowError:
            if part.end - part.start <= 1:
                raise
        if part.end - part.start <= 1:
            raise TerminalError(
                f"{subject}: one second has more than {most} events",
                connector=splunk.name,
                hint="raise job_size in the settings",
            )
        todo += [Span(part.middle, part.end), Span(part.start, part.middle)]


def newest(splunk: Splunk, found: Sequence[str], span: Span, most: int) -> list[Row]:
    """The newest events that some commands leave."""
    command = spl.piped(*found, f"eval {RAW}=_raw", f"head {most}", f"table {RAW}, index")
    return rows_of(jobs.results(splunk, command, span, most), splunk.settings.format)


def number(value: object) -> float:
    """A number of a result; 0 where there is none."""
    try:
        found = float(str(value))
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def _agree(splunk: Splunk, read: int, subject: str) -> None:
    most = splunk.settings.max_examined
    if read > most:
        raise TerminalError(
            f"{subject}: more than {most} events would have to be read",
            connector=splunk.name,
            hint="ask for a shorter window, or raise max_examined in the settings",
        )
