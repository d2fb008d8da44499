"""How the health of the feeds, the quarantine and what was withdrawn are shown."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from huntonce.cli.output import cell, clean, table
from huntonce.models.intel import FeedHealth, IntelObject

if TYPE_CHECKING:
    from huntonce.flows.settings import TaxiiSettings
    from huntonce.models.intake import KeptRefusal

STALE_AFTER = 3
"""Intervals without a success after which a source is stale."""
_SHOWN = 20
_STYLES = {"ok": "green", "failing": "bold red", "stale": "yellow", "interrupted": "yellow"}
_FAULTS = {"server": "the server", "query": "our request or settings"}


@dataclass(frozen=True, slots=True)
class FeedState:
    """A feed's health, and what it means now.

    Attributes:
        state: As ``FeedHealth.state``, or ``stale``: not failing, and not pulled in time.
        kind: ``taxii`` or ``file``.
    """

    health: FeedHealth
    state: str
    kind: str


def feed_states(
    healths: Iterable[FeedHealth], settings: "Mapping[str, TaxiiSettings]", now: datetime
) -> tuple[FeedState, ...]:
    """Every feed that is configured or delivered something, by name."""
    known = {health.feed: health for health in healths}
    for name in settings:
        known.setdefault(name, FeedHealth(feed=name))
    return tuple(_state(known[name], settings.get(name), now) for name in sorted(known))


def _state(health: FeedHealth, part: "TaxiiSettings | None", now: datetime) -> FeedState:
    if part is None:
        return FeedState(health, health.state, "file")
    state, last = health.state, health.last_success
    limit = timedelta(minutes=STALE_AFTER * part.interval_minutes)
    if state == "ok" and last is not None and now - last > limit:
        state = "stale"
    return FeedState(health, state, "taxii")


def feed_row(one: FeedState) -> dict[str, object]:
    """A feed for a JSON answer."""
    health, failure = one.health, one.health.failure
    return {
        "name": health.feed,
        "kind": one.kind,
        "state": one.state,
        "pulls": health.pulls,
        "last_pull": health.last_pull,
        "last_success": health.last_success,
        "last_failure": health.last_failure,
        "failures_since_success": health.failures,
        "error": failure.error if failure else "",
        "hint": failure.hint if failure else "",
        "fault": failure.fault.value if failure else "",
        "objects": health.totals.objects,
        "new": health.totals.new,
        "updated": health.totals.updated,
        "duplicate": health.totals.duplicate,
        "duplicate_rate": health.duplicate_rate,
        "set_aside": health.set_aside,
        "skipped": health.skipped,
        "held": health.held,
        "indicators": health.indicators,
        "claims": health.claims,
        "shared_claims": health.shared_claims,
        "cursor": health.cursor,
    }


def show_feeds(console: Console, states: Sequence[FeedState]) -> None:
    """A table of the feeds, and below it what is wrong with those that fail."""
    if not states:
        console.print("No source is configured and nothing was loaded.")
        return
    columns = ("source", "state", "last pull", "last success", "new", "updated", "duplicate",
               "set aside", "indicators", "claims", "cursor")  # fmt: skip
    console.print(table(columns, [_cells(one) for one in states]))
    for one in states:
        failure = one.health.failure
        if failure is None:
            continue
        fault = _FAULTS[failure.fault.value]
        times = "once" if one.health.failures == 1 else f"{one.health.failures} times"
        head = f"{one.health.feed}: failed {times}; at fault is {fault}"
        console.print(Text(clean(head), style="bold red"))
        console.print(Text(f"  {clean(failure.error)}"))
        if failure.hint:
            console.print(Text(f"  -> {clean(failure.hint)}"))


def _cells(one: FeedState) -> tuple[object, ...]:
    health, rate = one.health, one.health.duplicate_rate
    share = "" if rate is None else f" ({rate:.0%})"
    shared = f" ({health.shared_claims} shared)" if health.shared_claims else ""
    return (
        health.feed,
        cell(one.state, _STYLES.get(one.state, "")),
        health.last_pull,
        health.last_success,
        health.totals.new,
        health.totals.updated,
        f"{health.totals.duplicate}{share}",
        health.set_aside,
        health.indicators,
        f"{health.claims}{shared}",
        cell(health.cursor, limit=40),
    )


def quarantine_row(kept: "KeptRefusal") -> dict[str, object]:
    """A refusal for a JSON answer, with its bytes as text."""
    item = kept.item
    return {
        "number": kept.number,
        "feed": kept.feed,
        "source": item.source,
        "place": item.place,
        "reason": item.reason,
        "hint": item.hint,
        "at": item.at,
        "tried_at": kept.tried_at,
        "taken_at": kept.taken_at,
        "bytes": len(item.payload),
        "payload": item.payload.decode("utf-8", "replace"),
    }


def show_quarantine(console: Console, kept: "Sequence[KeptRefusal]") -> None:
    """What waits, in the order in which it came."""
    if not kept:
        console.print("Nothing is set aside.")
        return
    rows = [
        (one.number, one.feed, one.item.at, cell(one.item.place, limit=60), one.item.reason)
        for one in kept[:_SHOWN]
    ]
    console.print(table(("no.", "source", "since", "object", "what is wrong"), rows))
    if len(kept) > _SHOWN:
        console.print(f"... and {len(kept) - _SHOWN} more (--json has all, with their bytes)")
    console.print("huntonce intel replay tries them again.")


def revoked_row(item: IntelObject, feeds: Sequence[str]) -> dict[str, object]:
    """A withdrawn object for a JSON answer."""
    name = item.content.get("name")
    return {
        "id": item.id,
        "type": item.type,
        "name": name if isinstance(name, str) else "",
        "since": item.version,
        "feeds": list(feeds),
    }


def show_revoked(console: Console, rows: Sequence[Mapping[str, object]]) -> None:
    """How many of each type, and the newest of them."""
    if not rows:
        console.print("Nothing that is held was withdrawn by its maker.")
        return
    kinds = Counter(str(row["type"]) for row in rows)
    words = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    console.print(f"Withdrawn by their makers: {words}")
    newest = sorted(rows, key=lambda row: str(row["since"]), reverse=True)
    shown = [
        (str(row["since"])[:10], row["type"], cell(row["name"] or row["id"], limit=60))
        for row in newest[:_SHOWN]
    ]
    console.print(table(("since", "type", "name"), shown))
    if len(rows) > _SHOWN:
        console.print(f"... and {len(rows) - _SHOWN} more (--json has all)")
