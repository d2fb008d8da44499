"""Changes of an input: of its bytes, and of its values where it is JSON."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_WORDS = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"'",
    b'"',
    b"\\",
    b"\n",
    b"\r\n",
    b"\x1b[2J",
    b"--",
    b";",
    b"${x}",
    b"{{7*7}}",
    b"%s%n",
    b"../",
    b"1e999",
    b"NaN",
    b"-1",
    b"9" * 30,
    b"[" * 200,
    b'{"a":' * 200,
    b"(" * 300,
    b"9999-12-31T23:59:59.999999Z",
    b"0001-01-01T00:00:00Z",
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**40),
    *(0.5, -0.0, 1e308, float("inf"), float("nan")),
    *(
        "",
        "x",
        "\x00",
        "\ud800",
        "a" * 5000,
        "*",
        "?",
        "\\",
        "'",
        '"',
        "%",
        "_",
        "\u202e",
        "\x1b]8;;",
    ),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-02-30", "1e5", "0x10", "-1"),
    *([], {}, [[]], [{}], {"": ""}, ["a", 1, None], {"#text": {}}, {"#attributes": 1}),
)
_DEEP = 40


def mutated(
    data: bytes,
    rng: random.Random,
    other: bytes,
    words: Sequence[bytes],
    *,
    structured: bool,
) -> bytes:
    """The input after one to eight changes."""
    for _ in range(1 << rng.randrange(4)):
        if structured and rng.random() < 0.7:
            changed = _as_values(data, rng, other)
            if changed is not None:
                data = changed
                continue
        data = rng.choice(_BYTES)(data, rng, other, words)
    return data


def shorter(data: bytes, size: int) -> Iterator[bytes]:
    """The input without one piece of ``size`` bytes, for each such piece."""
    if size >= len(data):
        return
    for at in range(0, len(data), size):
        yield data[:at] + data[at + size :]


_Change = Callable[[bytes, random.Random, bytes, Sequence[bytes]], bytes]


def _flip(data: bytes, rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _replace(data: bytes, rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(data: bytes, rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _truncate(data: bytes, rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(data: bytes, rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 2, 20)) + data[end:]


def _splice(data: bytes, rng: random.Random, other: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(other, rng)
    at = rng.randrange(len(data) + 1)
    return data[:at] + other[start:end] + data[at:]


def _word(data: bytes, rng: random.Random, _: bytes, words: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng) if rng.random() < 0.5 else (rng.randrange(len(data) + 1),) * 2
    return data[:start] + rng.choice((*_WORDS, *words, *words)) + data[min(end, start + 40) :]


def _number(data: bytes, rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    if len(data) < 8:
        return data
    at, size = rng.randrange(len(data) - 7), rng.choice((2, 4, 8))
    value = rng.choice((0, 1, 0x7F, 0xFF, (1 << (8 * size)) - 1, 1 << (8 * size - 1)))
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


_BYTES: tuple[_Change, ...] = (
    *(_flip, _replace, _cut, _truncate, _repeat, _splice, _word, _word, _word, _number),
)


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    length = rng.randrange(1, 1 << rng.randrange(1, 10))
    return start, min(start + length, len(data))


def _as_values(data: bytes, rng: random.Random, other: bytes) -> bytes | None:
    """The JSON document with one value changed; None where it is none."""
    try:
        document = json.loads(data)
        more = json.loads(other)
    except (ValueError, RecursionError):
        return None
    places = list(_places([document]))
    if not places:
        return None
    holder, key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            holder[key] = rng.choice(_VALUES)
        case 1:
            taken, at = rng.choice(list(_places([more])))
            holder[key] = taken[at]
        case 2 if isinstance(holder, dict):
            holder[rng.choice(("", "x", "type", "Event", "#text", "a" * 300))] = holder.pop(key)
        case 2 | 3:
            del holder[key]
        case 4:
            value = holder[key]
            for _ in range(rng.choice((1, 3, _DEEP))):
                value = [value] if rng.random() < 0.5 else {"x": value}
            holder[key] = value
        case _:
            holder[key] = [holder[key]] * rng.choice((0, 2, 30))
    root = places[0][0]
    try:
        return json.dumps(root[0] if root else None).encode()
    except (ValueError, RecursionError):
        return None


def _places(root: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: what holds it, and its key there; the document's own first."""
    stack = [root]
    while stack:
        holder = stack.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder))
        for key in list(keys):
            yield holder, key
            if isinstance(holder[key], dict | list):
                stack.append(holder[key])
