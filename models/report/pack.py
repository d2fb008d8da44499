"""Pack: evidence as files of lines, each line bound to the one before by its hash.

A pack is text: files of JSON lines, and ``chain.jsonl`` with one row for every line of every file.
Whoever changes, drops or adds a line breaks the chain at that line; whoever also writes the chain
anew ends at another head, which is why the head is told to the one who made the pack.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from huntonce.models.entity import Kind
from huntonce.models.ids import digest
from huntonce.models.transition import GENESIS, Transition
from huntonce.models.windows import utc

CHAIN, LOG = "chain.jsonl", "log.jsonl"
Files = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is not as it was packed.

    Attributes:
        line: From 1; 0 for a whole file.
    """

    file: str
    line: int
    what: str


def sha256(text: str) -> str:
    """Hex SHA-256 of a line as UTF-8."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def chain_of(files: Files) -> tuple[str, ...]:
    """The rows of the chain over files, in the order of the files and of their lines."""
    rows: list[str] = []
    last = GENESIS
    for name, lines in files.items():
        for number, text in enumerate(lines, start=1):
            seq, content = len(rows) + 1, sha256(text)
            mine = digest(seq, name, number, content, last)
            rows.append(
                json.dumps(
                    {
                        "seq": seq,
                        "file": name,
                        "line": number,
                        "sha256": content,
                        "previous": last,
                        "hash": mine,
                    }
                )
            )
            last = mine
    return tuple(rows)


def head_of(chain: Sequence[str]) -> str:
    """Hash of the last row; "" of none that can be read."""
    try:
        return str(json.loads(chain[-1])["hash"])
    except (IndexError, KeyError, TypeError, ValueError):
        return ""


def faults(files: Files, chain: Sequence[str], head: str = "") -> tuple[Fault, ...]:
    """What is not as it was packed: the first line of each file, and of the chain; () = all is.

    ``head`` is the one that was told when the pack was made; "" where it is not known.
    """
    found: dict[str, Fault] = {}
    expected: dict[str, list[str]] = {}
    for fault in _chain_faults(chain, expected):
        found.setdefault(CHAIN, fault)
    if head and head_of(chain) != head:
        found.setdefault(CHAIN, Fault(file=CHAIN, line=len(chain), what="ends at another head"))
    for name in dict.fromkeys((*expected, *files)):
        touched = _file_fault(name, files.get(name, ()), expected.get(name, []))
        if touched is not None:
            found[name] = touched
    for fault in _log_faults(files.get(LOG, ())):
        found.setdefault(LOG, fault)
    return tuple(found.values())


def _chain_faults(chain: Sequence[str], expected: dict[str, list[str]]) -> Iterator[Fault]:
    last = GENESIS
    for number, text in enumerate(chain, start=1):
        try:
            row: dict[str, Any] = json.loads(text)
            name, line, content = str(row["file"]), row["line"], str(row["sha256"])
            mine = digest(number, name, line, content, last)
            whole = (row["seq"], row["previous"], row["hash"]) == (number, last, mine)
            last = str(row["hash"])
        except (KeyError, TypeError, ValueError, RecursionError):
            yield Fault(file=CHAIN, line=number, what="cannot be read")
            continue
        expected.setdefault(name, []).append(content)
        if not whole or line != len(expected[name]):
            yield Fault(file=CHAIN, line=number, what="was changed, or a row before it is missing")


def _file_fault(name: str, lines: Sequence[str], expected: Sequence[str]) -> Fault | None:
    if not expected:
        return Fault(file=name, line=0, what="was added") if lines else None
    if not lines:
        return Fault(file=name, line=0, what="is missing")
    got = [sha256(text) for text in lines]
    for number, (mine, want) in enumerate(zip(got, expected, strict=False), start=1):
        if mine != want:
            return Fault(file=name, line=number, what=_what(got, expected, number - 1))
    if len(got) < len(expected):
        return Fault(file=name, line=len(got) + 1, what="is missing")
    if len(got) > len(expected):
        return Fault(file=name, line=len(expected) + 1, what="was added")
    return None


def _what(got: Sequence[str], expected: Sequence[str], at: int) -> str:
    """What became of a line, by the lines after it."""
    if list(got[at:]) == list(expected[at + 1 :]):
        return "is missing"
    if list(got[at + 1 :]) == list(expected[at:]):
        return "was added"
    others = sum(a != b for a, b in zip(got[at + 1 :], expected[at + 1 :], strict=False))
    return f"was changed, and {others} later lines" if others else "was changed"


def _log_faults(lines: Sequence[str]) -> Iterator[Fault]:
    """Rows of the transition log whose own hash, made when they were written, does not fit."""
    for number, text in enumerate(lines, start=1):
        try:
            row = json.loads(text)
            kind = row["kind"]
            transition = Transition(
                seq=row["seq"],
                kind=Kind(kind) if kind in set(Kind) else kind,
                subject=row["subject"],
                before=row["before"],
                after=row["after"],
                at=utc(datetime.fromisoformat(row["at"])),
                actor=row["actor"],
                why=row["why"],
                evidence=row["evidence"],
                previous=row["previous"],
            )
            # A secret was taken out of it: only the pack's own chain speaks for such a row.
            fits = row.get("hidden") is True or transition.hash == row["hash"]
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            fits = False
        if not fits:
            yield Fault(file=LOG, line=number, what="its hash in the transition log does not fit")
