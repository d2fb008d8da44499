"""Strings out of intelligence, made fit to be read: hostile or malformed values become ""."""

import re
import unicodedata
from datetime import UTC, datetime

from huntonce.models.intel import StixDict
from huntonce.models.windows import utc

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that is missing or unreadable."""

_RAW_LIMIT = 4000
_NAME_LIMIT = 120
_PROCEDURE_LIMIT = 1000
_CITATION = re.compile(r"\(Citation:[^()]*(?:\([^()]*\)[^()]*){0,3}\)")
_LINK = re.compile(r"\[([^\[\]]{1,300})\]\([^()\s]{1,600}\)")
_TAG = re.compile(r"</?(?:code|b|i|em|strong|p|br)\s*/?>", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)\]\"'%`])[.!?]\s+(?=[\"'(\[]?[A-Z0-9])")
_FEWEST_WORDS = 3
_PERCENT = 100


def plain(value: object, limit: int = _NAME_LIMIT) -> str:
    """One line of text without control or formatting characters, at most ``limit`` long."""
    if not isinstance(value, str):
        return ""
    text = value[:_RAW_LIMIT]
    if not text.isprintable():
        text = "".join(" " if c.isspace() else c for c in text if _printable(c))
    return shorten(" ".join(text.split()), limit)


def procedure(value: object, *names: str) -> str:
    """A procedure description without citations and markup.

    "" where the text says nothing of how: fewer than three words (a hash, an address), or only
    one of ``names`` (what the claim is about) again.
    """
    if not isinstance(value, str):
        return ""
    text = _LINK.sub(r"\1", _CITATION.sub("", value[:_RAW_LIMIT]))
    text = plain(_TAG.sub("", text).replace("`", ""), _PROCEDURE_LIMIT)
    if len(_WORD.findall(text)) < _FEWEST_WORDS or "://" in text.split(" ", 1)[0]:
        return ""
    return "" if text.casefold() in {name.casefold() for name in names} else text


def first_sentence(text: str, limit: int = 280) -> str:
    """The first sentence, without its full stop, cut at a word where it is too long."""
    return shorten(_SENTENCE_END.split(text, maxsplit=1)[0].rstrip(" .;,:"), limit)


def shorten(text: str, limit: int) -> str:
    """The text, cut at a word and marked with "..." where it is longer than ``limit``."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 3]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > limit // 2 else cut).rstrip(" ,;:") + "..."


def texts(content: StixDict, key: str) -> tuple[str, ...]:
    """The readable strings of a list property, at most 200 of them."""
    value = content.get(key)
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(filter(None, (plain(item) for item in value[:200])))


def references(content: StixDict, key: str) -> tuple[str, ...]:
    """The STIX ids of a list property."""
    value = content.get(key)
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(item for item in value if isinstance(item, str) and "--" in item)


def reference(content: StixDict, key: str) -> str:
    """The STIX id of a property, or ""."""
    value = content.get(key)
    return value if isinstance(value, str) and "--" in value else ""


def object_type(stix_id: str) -> str:
    """The type that a STIX id names."""
    return stix_id.partition("--")[0]


def confidence(content: StixDict) -> int | None:
    """STIX confidence, 0..100; None where it is unstated or out of range."""
    value = content.get("confidence")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _PERCENT:
        return value
    return None


def moment(value: object) -> datetime:
    """A STIX timestamp in UTC; ``UNDATED`` where it is none."""
    if not isinstance(value, str):
        return UNDATED
    try:
        return utc(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return UNDATED


def _printable(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] != "C"
