"""Times as tables write them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NUMBER = re.compile(r"\d{9,17}(?:\.\d{1,9})?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})", re.ASCII)
_DATE_FIRST = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}),?[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r"(?:\s*([AaPp])\.?[Mm]\.?)?",
    re.ASCII,
)
_KIBANA = re.compile(r"([A-Z][a-z]{2} \d{1,2}, \d{4}) @ (\d{2}:\d{2}:\d{2}\.\d{3})\d*", re.ASCII)
_MONTHS = 12
_HALF = 12
_LONGEST = 60


class AmbiguousTimeError(ValueError):
    """A date of which day and month cannot be told apart."""


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """A zone by its name (``UTC``, ``Europe/Vienna``) or offset (``+02:00``).

    Raises:
        ValueError: It is not known.
    """
    if name.upper() in ("UTC", "Z", "GMT"):
        return UTC
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is named {name!r}") from error


def moment(
    text: str, *, time_format: str = "", day_first: bool | None = None
) -> datetime | float | None:
    """A recorded time: with the zone that it names, or without; a number of seconds since 1970.

    Args:
        text: As it stands in the table.
        time_format: As strptime has it; empty for the usual ones.
        day_first: How 05/01/2026 is meant.

    Returns:
        None where it is not a time that is known here.

    Raises:
        AmbiguousTimeError: Day and month cannot be told apart.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    try:
        return _read(text, time_format, day_first)
    except AmbiguousTimeError:
        raise
    except ValueError:
        return None


def _read(text: str, time_format: str, day_first: bool | None) -> datetime | float:
    if time_format:
        return datetime.strptime(text, time_format)  # noqa: DTZ007 - the caller knows the zone
    if _NUMBER.fullmatch(text):
        return float(text)
    if match := _DATE_FIRST.fullmatch(text):
        return _dated(match, day_first)
    if match := _KIBANA.fullmatch(text):
        return datetime.strptime(f"{match[1]} {match[2]}", "%b %d, %Y %H:%M:%S.%f")  # noqa: DTZ007 - as above
    return datetime.fromisoformat(text.removesuffix(" UTC") + "Z" * text.endswith(" UTC"))


def _dated(match: re.Match[str], day_first: bool | None) -> datetime:
    one, other = int(match[1]), int(match[3])
    if match[2] == ".":
        day_first = True  # nobody writes the month first with dots
    if day_first is None:
        day_first = one > _MONTHS
        if one <= _MONTHS and other <= _MONTHS and one != other:
            raise AmbiguousTimeError
    day, month = (one, other) if day_first else (other, one)
    hour = int(match[5])
    if match[9]:
        if not 1 <= hour <= _HALF:
            raise ValueError("no hour of a 12-hour clock")
        hour = hour % _HALF + (_HALF if match[9] in "Pp" else 0)
    fraction = int((match[8] or "0").ljust(6, "0")[:6])
    return datetime(int(match[4]), month, day, hour, int(match[6]), int(match[7] or 0), fraction)  # noqa: DTZ001 - as above


def day_first(texts: Iterable[str]) -> bool | None:
    """How the dates of a table are meant, by those that can be one thing only.

    Where none tells, a 12-hour clock is taken for the American way; None for anything else.
    """
    american = False
    for text in texts:
        match = _DATE_FIRST.fullmatch(text.strip())
        if match is None or match[2] == ".":
            continue
        if int(match[1]) > _MONTHS:
            return True
        if int(match[3]) > _MONTHS:
            return False
        american = american or bool(match[9])
    return False if american else None
