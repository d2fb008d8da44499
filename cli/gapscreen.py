"""Gaps on a screen: what is wrong, what mends it, and what would help most."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from huntonce.cli.output import clean
from huntonce.models.demand import told

if TYPE_CHECKING:
    from huntonce.models.demand import Fix
    from huntonce.models.gap import Gap

INDENT = (0, 0, 0, 6)


def show_gaps(console: Console, gaps: "Sequence[Gap]", *, limit: int = 0) -> None:
    """Gaps, each with the command that mends it; the rest is counted."""
    if not gaps:
        return
    console.print()
    shown = gaps[:limit] if limit else gaps
    for gap in shown:
        what, _, effect = gap.reason.partition(": ")
        effect = effect.partition(" (")[0].rstrip(".")
        head = Text.assemble((f"{gap.id} ", "bold yellow"), clean(what, 300))
        if effect:
            head.append(f": {clean(effect, 300)}")
        if gap.ticket:
            head.append(f" [{gap.ticket}]", style="dim")
        console.print(head)
        mends = next(iter(gap.remedy.commands), gap.remedy.text)
        console.print(Padding(Text(f"fix: {clean(mends, 300)}", style="cyan"), INDENT))
    if len(gaps) > len(shown):
        console.print(Text(f"... and {len(gaps) - len(shown)} more: huntonce gaps", style="dim"))


def show_fix(console: Console, fix: "Fix", *, number: int = 1) -> None:
    """The fix that would help most, or one that comes after it."""
    lead = f"{'Fix first' if number == 1 else 'then':<10}"
    gap = fix.gap
    name = f"{gap.atom_label}{f' {gap.field_name}' if gap.field_name else ''}"
    console.print(
        Text.assemble(
            (lead, "bold" if number == 1 else ""),
            (f"{gap.id} ", "bold yellow"),
            f"{name}: {told(fix)}",
        )
    )
