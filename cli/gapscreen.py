"""Gaps on a screen: what is wrong, what mends it, and what would help most."""

from collections.abc import Collection, Sequence
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


def show_gaps(
    console: Console, gaps: "Sequence[Gap]", *, limit: int = 0, told_above: Collection[str] = ()
) -> None:
    """Gaps, each with the command that mends it; the rest is counted.

    With a ``limit`` a gap takes a line and its command another, both cut at the edge: they are
    whole in ``huntonce gaps``. ``told_above``: ids of those whose command stands above already.
    """
    if not gaps:
        return
    console.print()
    shown = gaps[:limit] if limit else gaps
    brief = limit > 0
    for gap in shown:
        what, _, effect = gap.reason.partition(": ")
        effect = effect.partition(" (")[0].rstrip(".")
        what = what.partition(" (")[0] if brief else what
        head = Text.assemble((f"{gap.id} ", "bold yellow"))
        if gap.ticket:
            head.append(f"[{gap.ticket}] ", style="dim")
        head.append(clean(what, 300))
        if effect:
            head.append(f": {clean(effect, 300)}")
        console.print(head, no_wrap=brief, overflow="ellipsis" if brief else "fold")
        if gap.id in told_above:
            continue
        mends = next(iter(gap.remedy.commands), gap.remedy.text)
        fix = Text(f"fix: {clean(mends, 300)}", "cyan", no_wrap=brief, overflow="ellipsis")
        console.print(Padding(fix, INDENT))
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
    if number == 1:
        mends = next(iter(gap.remedy.commands), gap.remedy.text)
        console.print(Padding(Text(clean(mends, 300), "cyan"), (0, 0, 0, len(lead))))
