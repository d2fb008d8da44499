"""What ``huntonce sweep`` shows a person: what hit, where; what could not see; what cannot run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from huntonce.cli.output import cell, clean, table

if TYPE_CHECKING:
    from huntonce.connectors.siem.sweep.report import BlindRule, RuleHits, SweepReport

_SHOWN_HITS = 40
_SHOWN_REASONS = 8
_SHOWN_AUTHORS = 12
_WIDE = 110
_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow"}
_SHORT = {"informational": "info"}
_PREFIX = "Microsoft-Windows-"
"""Of most channels' names; left out where there is little room."""

_GRAVE = frozenset({"critical", "high"})


def show_sweep(console: Console, report: "SweepReport", *, every: bool) -> None:
    """The answer of a sweep, gravest first."""
    total = sum(hits.count for hits in report.hits)
    if report.events is None:
        over = "what the SIEM holds"
    elif report.events:
        over = f"{report.events} events ({_news(report)})"
    else:
        over = "no events of the lake (load logs: huntonce lake load ...)"
    console.print(
        f"{report.evaluated} rules over {over} in {report.seconds:.1f} s: "
        f"{len(report.hits)} rules hit, {total} times"
    )
    if report.hits:
        console.print()
        _show_hits(console, report.hits, every=every)
    _show_blind(console, [rule for rule in report.blind if not rule.partly], partly=False)
    _show_blind(console, [rule for rule in report.blind if rule.partly], partly=True)
    _show_unsupported(console, report)


def _news(report: "SweepReport") -> str:
    if report.scanned == report.events:
        return "all new"
    return f"{report.scanned} looked at anew" if report.scanned else "nothing new"


def _show_hits(console: Console, hits: "Sequence[RuleHits]", *, every: bool) -> None:
    shown = hits if every else hits[:_SHOWN_HITS]
    wide = console.width >= _WIDE
    columns = ("level", "hits", "hosts", *(("first", "last") if wide else ()), "rule")
    console.print(table(columns, [_row(found, wide=wide) for found in shown]))
    rest = hits[len(shown) :]
    if rest:
        levels = Counter(found.level or "no level" for found in rest)
        named = ", ".join(f"{count} {level}" for level, count in levels.items())
        console.print(f"... and {len(rest)} more rules: {named} (--all shows them)")
    _show_authors(console, shown)


def _row(hits: "RuleHits", *, wide: bool) -> tuple[object, ...]:
    hosts = hits.hosts
    few = 2 if wide else 1
    names = ", ".join(clean(host, 18) for host in hosts[:few])
    more = f" +{len(hosts) - few}" if len(hosts) > few else ""
    days: tuple[object, ...] = ()
    if wide:
        times = hits.table.column("time")
        days = tuple(f"{times[at].as_py():%Y-%m-%d}" for at in (0, len(times) - 1))
    return (
        cell(_SHORT.get(hits.level, hits.level) or "-", _STYLES.get(hits.level, "")),
        cell(f"{hits.count:>5}"),
        cell(names + more),
        *days,
        cell(hits.title, limit=100),
    )


def _show_authors(console: Console, hits: "Iterable[RuleHits]") -> None:
    """Whose rules these are: their licence asks for it where hits are shown."""
    authors = Counter(
        clean(author.strip(), 40)
        for found in hits
        for author in dict.fromkeys(found.author.split(","))
        if author.strip()
    )
    if not authors:
        return
    named = [
        f"{author} ({count})" if count > 1 else author
        for author, count in authors.most_common(_SHOWN_AUTHORS)
    ]
    rest = len(authors) - len(named)
    more = f" and {rest} more (--json names them by rule)" if rest else ""
    console.print(Text(f"Rules by {', '.join(named)}{more}", style="dim"))


def _show_blind(console: Console, blind: "Sequence[BlindRule]", *, partly: bool) -> None:
    """Reasons by how many rules each keeps from firing."""
    if not blind:
        return
    if partly:
        head = f"Blind in part: {len(blind)} rules see one of their log sources and not another."
    else:
        head = (
            f"Could not see: {len(blind)} rules could not fire on what is here. "
            "These are visibility gaps, not clean results."
        )
    console.print()
    console.print(Text(head, style="yellow"))
    reasons: dict[tuple[str, str], list[str]] = {}
    for rule in blind:
        reasons.setdefault(_reason(rule), []).append(rule.level)
    _show_reasons(
        console,
        [
            (len(levels), sum(level in _GRAVE for level in levels), where, what)
            for (where, what), levels in reasons.items()
        ],
    )


def _reason(rule: "BlindRule") -> tuple[str, str]:
    sources = [source.removeprefix(_PREFIX) for source in rule.sources[:2]]
    where = " or ".join(sources) + (" ..." if len(rule.sources) > 2 else "")  # noqa: PLR2004
    if not rule.fields:
        return where, rule.reason
    fields = ", ".join(rule.fields[:3]) + (" ..." if len(rule.fields) > 3 else "")  # noqa: PLR2004
    return where, f"no event has {fields}"


def _show_reasons(console: Console, reasons: Sequence[tuple[int, int, str, str]]) -> None:
    ranked = sorted(reasons, key=lambda item: (-item[0], item[2], item[3]))
    rows: list[tuple[object, ...]] = [
        (f"{count:>5}", f"{grave:>4}" if grave else "", clean(where, 80), clean(what, 120))
        for count, grave, where, what in ranked[:_SHOWN_REASONS]
    ]
    rest = ranked[_SHOWN_REASONS:]
    if rest:
        count, grave = sum(item[0] for item in rest), sum(item[1] for item in rest)
        more = f"{len(rest)} other reasons (--json has all)"
        rows.append((f"{count:>5}", f"{grave:>4}" if grave else "", "", more))
    console.print(table(("rules", "high", "where", "what is missing"), rows))


def _show_unsupported(console: Console, report: "SweepReport") -> None:
    if not report.unsupported:
        return
    console.print()
    head = f"Could not run: {len(report.unsupported)} rules were set aside."
    console.print(Text(head, style="yellow"))
    reasons: dict[str, list[str]] = {}
    for rule in report.unsupported:
        reasons.setdefault(rule.reason, []).append(rule.source)
    ranked = sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0]))
    rows = [
        (f"{len(sources):>5}", clean(reason, 200), cell(_files(sources), limit=80))
        for reason, sources in ranked[:_SHOWN_REASONS]
    ]
    if len(ranked) > _SHOWN_REASONS:
        rest = sum(len(sources) for _, sources in ranked[_SHOWN_REASONS:])
        rows.append((f"{rest:>5}", "other reasons (--json has all)", cell("")))
    console.print(table(("rules", "why", "where"), rows))


def _files(sources: Sequence[str]) -> str:
    return sources[0] + (f" +{len(sources) - 1}" if len(sources) > 1 else "")
