"""What people and programs read: tables on a terminal, one JSON document with ``--json``.

Whatever comes from data (a task name, a command line, a report's title) is shown as text: control
characters are made visible and no markup is interpreted.
"""

import json
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

DONE = 0
FAILED = 1
USAGE = 2
SET_ASIDE = 3
UNREACHABLE = 4

STYLES = {
    "malicious": "bold red",
    "confirmed_malicious": "bold red",
    "suspicious": "magenta",
    "blocked": "yellow",
    "inconclusive": "yellow",
    "ruled_out": "green",
    "closed": "green",
    "high": "red",
}


def clean(value: object, limit: int = 0) -> str:
    """Text for a terminal: control and format characters become visible, length is bounded."""
    text = "".join(
        character
        if character in "\n\t" or unicodedata.category(character)[0] != "C"
        else f"\\x{ord(character):02x}"
        for character in str(value)
    )
    return text if not limit or len(text) <= limit else f"{text[: limit - 1]}…"


def cell(value: object, style: str = "", limit: int = 0) -> Text:
    """A table cell: never markup."""
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        value = f"{value:%Y-%m-%d %H:%M:%S}"
    text = clean(value, limit)
    return Text(text, style=style or STYLES.get(text, ""))


class Output:
    """Where a command's answer goes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=False)
        self.errors = Console(stderr=True, highlight=False)

    def answer(self, document: Mapping[str, Any], show: Callable[[Console], None]) -> None:
        """The document with ``--json``, else what ``show`` prints."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=2, default=_plain, ensure_ascii=False))
            sys.stdout.write("\n")
        else:
            show(self.console)

    def note(self, text: str) -> None:
        """A remark for people, on standard error."""
        self.errors.print(Text(clean(text), style="dim"))

    def problem(self, message: str, hint: str = "") -> None:
        """What went wrong and what to do about it, on standard error."""
        self.errors.print(Text(f"error: {clean(message)}", style="bold red"))
        if hint:
            self.errors.print(Text(f"  -> {clean(hint)}"))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> Table:
    """A plain table; the last column takes what room there is."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=Text(title) if title else None,
        title_justify="left",
        pad_edge=False,
        show_edge=False,
    )
    for index, column in enumerate(columns):
        made.add_column(
            column,
            overflow="fold",
            no_wrap=index == 0,
            ratio=1 if index == len(columns) - 1 else None,
        )
    for row in rows:
        made.add_row(*(item if isinstance(item, Text) else cell(item) for item in row))
    return made


def show_set_aside(console: Console, items: Sequence[Any], limit: int = 10) -> None:
    """What was refused, where and why, and what to do; what is alike of a source is told once."""
    if not items:
        return
    console.print(Text(f"{len(items)} set aside:", style="yellow"))
    alike: dict[tuple[str, str, str], list[str]] = {}
    for item in items:
        alike.setdefault((item.source, item.reason, item.hint), []).append(item.place)
    for (source, reason, hint), places in islice(alike.items(), limit):
        where = f"{clean(source)}, {clean(places[0])}"
        more = f" (and {len(places) - 1} more in it)" if len(places) > 1 else ""
        console.print(Text(f"  {where}: {clean(reason, 300)}{more}"))
        if hint:
            console.print(Text(f"    -> {clean(hint)}", style="dim"))
    if left := sum(map(len, islice(alike.values(), limit, None))):
        console.print(Text(f"  ... and {left} more (--json has all)"))


def set_aside_rows(items: Sequence[Any]) -> list[dict[str, str]]:
    """Refused input for a JSON answer."""
    return [
        {
            "kind": str(item.kind),
            "source": item.source,
            "place": item.place,
            "reason": item.reason,
            "hint": item.hint,
        }
        for item in items
    ]
