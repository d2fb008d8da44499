"""What a client asks of a collection: filters and paging, checked (TAXII 2.1, section 3.4)."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from huntonce.connectors.intel.forms import is_id, is_time, time_key
from huntonce.models.errors import DomainError

MAX_VALUES = 1000
_STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"
_FILTERS = {"id", "type", "version", "spec_version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectQuery:
    """A checked request for objects, manifests or versions.

    Attributes:
        after: Only what was added later than this stamp; "" for all.
        versions: "last", "first", "all", or version keys.
    """

    limit: int
    after: str = ""
    ids: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    spec_versions: tuple[str, ...] = ()
    versions: tuple[str, ...] = ("last",)


def parse_query(params: Sequence[tuple[str, str]], *, page_limit: int) -> ObjectQuery:
    """The query that a request's parameters make.

    Raises:
        DomainError: A parameter cannot be understood.
    """
    values: dict[str, list[str]] = {}
    for name, text in params:
        values.setdefault(name, []).extend(text.split(",") if name.startswith("match[") else [text])
    for name, found in values.items():
        if name.startswith("match[") and (len(found) > MAX_VALUES or not all(found)):
            raise DomainError(f"{name} takes 1 to {MAX_VALUES} values")
        if name.startswith("match[") and name[6:-1] not in _FILTERS:
            raise DomainError(f"there is no filter {name[:60]}")
    after = stamp(_single(values, "added_after")) if "added_after" in values else ""
    if "next" in values:
        after = max(after, decode_next(_single(values, "next")))
    ids = tuple(values.get("match[id]", ()))
    if not all(map(is_id, ids)):
        raise DomainError("match[id] takes STIX identifiers")
    return ObjectQuery(
        limit=_limit(values, page_limit),
        after=after,
        ids=ids,
        types=tuple(values.get("match[type]", ())),
        spec_versions=tuple(values.get("match[spec_version]", ())),
        versions=tuple(map(_version, values.get("match[version]", ["last"]))),
    )


def stamp(text: str) -> str:
    """A timestamp in the form that ``date_added`` has (microseconds, Z).

    Raises:
        DomainError: It is none.
    """
    if not is_time(text):
        raise DomainError("added_after takes a timestamp like 2026-01-31T09:30:00.000Z")
    return f"{time_key(text)[:26]}Z"


def micros_to_stamp(micros: int) -> str:
    """Microseconds since 1970 as a ``date_added``."""
    seconds, rest = divmod(micros, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).strftime(_STAMP)


def encode_next(added: str) -> str:
    """The token that continues after a ``date_added``."""
    return base64.urlsafe_b64encode(added.encode()).decode().rstrip("=")


def decode_next(token: str) -> str:
    """The ``date_added`` that a token continues after.

    Raises:
        DomainError: The token is not one of ours.
    """
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    if not is_time(text):
        raise DomainError("this next is not known here")
    return stamp(text)


def _single(values: dict[str, list[str]], name: str) -> str:
    if len(values[name]) != 1:
        raise DomainError(f"{name} is there more than once")
    return values[name][0]


def _limit(values: dict[str, list[str]], page_limit: int) -> int:
    if "limit" not in values:
        return page_limit
    text = _single(values, "limit")
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise DomainError("limit takes a whole number from 1")
    return min(int(text[:18]), page_limit)


def _version(text: str) -> str:
    if text in {"last", "first", "all"}:
        return text
    if not is_time(text):
        raise DomainError("match[version] takes last, first, all or timestamps")
    return time_key(text)
