"""What was refused, as an operator reads it: alike things once, and nothing uncounted."""

import io

from rich.console import Console

from huntonce.cli.output import show_set_aside
from huntonce.models.setaside import InputKind, SetAside


def refused(source: str, place: str, reason: str, hint: str = "") -> SetAside:
    return SetAside(kind=InputKind.TELEMETRY, source=source, place=place, reason=reason, hint=hint)


def shown(items: list[SetAside], limit: int = 10) -> str:
    written = io.StringIO()
    show_set_aside(Console(file=written, width=200), items, limit)
    return written.getvalue()


def test_the_same_reason_in_one_file_is_told_once_with_its_count() -> None:
    many = [refused("labels.json", f"event {n}", "it has no event id", "look") for n in range(101)]

    text = shown([*many, refused("other.json", "line 3", "it has no event id", "look")])

    assert "102 set aside:" in text
    assert text.count("labels.json") == 1
    assert "labels.json, event 0: it has no event id (and 100 more in it)" in text
    assert "other.json, line 3: it has no event id\n" in text


def test_another_reason_in_the_same_file_is_told() -> None:
    text = shown([refused("a.json", "line 1", "not JSON"), refused("a.json", "line 2", "no time")])

    assert "a.json, line 1: not JSON\n" in text
    assert "a.json, line 2: no time\n" in text


def test_what_is_left_out_is_counted_item_by_item() -> None:
    items = [refused(f"{name}.json", f"line {n}", "wrong") for name in "abc" for n in range(5)]

    text = shown(items, limit=1)

    assert "a.json, line 0: wrong (and 4 more in it)" in text
    assert "... and 10 more (--json has all)" in text
