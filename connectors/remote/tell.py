"""What a desk is told of a gap and of a case: the blocks of its page."""

from collections.abc import Iterator, Mapping, Sequence

from huntonce.connectors.remote.page import Block, Shape
from huntonce.models.tlp import Tlp

MAX_TIMELINE = 200
MAX_LIST = 300
MAX_DATA = 4_096
MAX_OBSERVABLES = 500


def tlp_of(payload: Mapping[str, object], default: Tlp) -> Tlp:
    """The marking of what is to leave; ``default`` where it carries none that is known."""
    try:
        return Tlp(str(payload.get("tlp", "")).casefold())
    except ValueError:
        return default


def gap_page(gap: Mapping[str, object], *, home: str = "") -> list[Block]:
    """The ticket of a gap: what does not arrive, why it matters, how to switch it on."""
    blocks = [
        Block(Shape.TEXT, "Telemetry that a hunt needs does not arrive. Huntonce opened this, "
              "and closes it when consecutive probes show that it does: by evidence, so it is "
              "enough to mend the source.")
    ]  # fmt: skip
    blocks += _facts(
        gap,
        {
            "gap": "Gap",
            "kind": "Kind",
            "source": "Source",
            "severity": "Severity",
            "owner": "Owner",
            "tlp": "TLP",
        },
    )
    blocks += _home(home)
    for name, head in (("reason", "What is wrong"), ("business", "Why it is worth the work")):
        if gap.get(name):
            blocks += [Block(Shape.HEADING, head), Block(Shape.TEXT, str(gap[name]))]
    if gap.get("remedy"):
        blocks += [Block(Shape.HEADING, "How to mend it"), Block(Shape.TEXT, str(gap["remedy"]))]
    blocks += [Block(Shape.CODE, str(one)) for one in listed(gap.get("commands"))]
    blocks += _items("Hosts", listed(gap.get("hosts")))
    return blocks


def case_page(case: Mapping[str, object], *, home: str = "") -> list[Block]:
    """A case: what was found, where, the evidence and its timeline."""
    blocks = [Block(Shape.TEXT, "A hunt found this. Huntonce opened the case with its evidence.")]
    blocks += _facts(
        case,
        {
            "case": "Case",
            "severity": "Severity",
            "tlp": "TLP",
            "first": "First seen (UTC)",
            "last": "Last seen (UTC)",
        },
    )
    blocks += _home(home)
    if case.get("summary"):
        blocks += [Block(Shape.HEADING, "Findings"), Block(Shape.CODE, str(case["summary"]))]
    blocks += _items("ATT&CK techniques", listed(case.get("techniques")))
    blocks += _items("Hosts", listed(case.get("hosts")))
    blocks += _items("Accounts", listed(case.get("accounts")))
    seen = [one for one in listed(case.get("observables")) if isinstance(one, Mapping)]
    if seen:
        blocks.append(Block(Shape.HEADING, "Observables"))
        blocks += [
            Block(Shape.ITEM, f"({o.get('type', '')})", str(o.get("value", "")))
            for o in seen[:MAX_LIST]
        ]
    rows = [row for row in listed(case.get("timeline")) if isinstance(row, Mapping)]
    if rows:
        blocks.append(Block(Shape.HEADING, "Timeline (UTC)"))
        blocks += [Block(Shape.CODE, "\n".join(_row(row) for row in rows[:MAX_TIMELINE]))]
    if len(rows) > MAX_TIMELINE:
        blocks.append(Block(Shape.TEXT, f"and {len(rows) - MAX_TIMELINE} more events"))
    return blocks


def _row(row: Mapping[str, object]) -> str:
    names = ("time", "host", "channel", "event_id", "record_id", "shows")
    return "  ".join(" ".join(str(row.get(name, "") or "-").split()) for name in names)


def _facts(payload: Mapping[str, object], names: Mapping[str, str]) -> Iterator[Block]:
    for name, words in names.items():
        if payload.get(name):
            yield Block(Shape.FACT, words, str(payload[name]))


def _home(home: str) -> list[Block]:
    return [Block(Shape.LINK, "In Huntonce", home)] if home else []


def _items(head: str, values: Sequence[object]) -> list[Block]:
    if not values:
        return []
    more = [Block(Shape.TEXT, f"and {len(values) - MAX_LIST} more")] * (len(values) > MAX_LIST)
    items = [Block(Shape.ITEM, "", str(value)) for value in values[:MAX_LIST]]
    return [Block(Shape.HEADING, head), *items, *more]


def observed(case: Mapping[str, object]) -> list[tuple[str, str]]:
    """Type (lower case) and value of a case's observables and hosts, each once, bounded."""
    found = [
        (str(one.get("type", "")).casefold(), str(one.get("value", ""))[:MAX_DATA])
        for one in listed(case.get("observables"))
        if isinstance(one, Mapping)
    ]
    found += [("host", str(host)) for host in listed(case.get("hosts"))]
    return list(dict.fromkeys(pair for pair in found if pair[1].strip()))[:MAX_OBSERVABLES]


def listed(values: object) -> Sequence[object]:
    """A list of a JSON value; empty where it is none."""
    return values if isinstance(values, list | tuple) else ()
