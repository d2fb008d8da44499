"""One measured thing in a process of its own: ``python -m tests.benchmarks.probe NAME ARGS...``.

Prints one line of JSON: wall and processor seconds and peak memory (MiB) of the thing, and what it
answered.
"""

import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import yaml
from sigma.collection import SigmaCollection
from sigma.rule import SigmaRule

from huntonce.connectors.siem.columns import VariantColumns
from huntonce.connectors.siem.lake.layout import channel_folder, files, partitions
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.sweep.sweeping import sweep
from huntonce.connectors.sigma.duckdb_backend import predicate, quote_text
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.connectors.sigma.pack import CompiledRule, RulePack
from huntonce.connectors.sigma.packcache import load_pack, rule_files
from huntonce.connectors.sigma.rules import logsource_of

_BATCH = 25
Answer = dict[str, Any]


def load_rules(rules: str, cache: str) -> Callable[[], Answer]:
    """Our own pack, cold or from the cache, as the cache file is."""
    paths = [Path(path) for path in rules.split(",")]
    return lambda: {"rules": len(load_pack(paths, Path(cache) if cache else None).rules)}


def stock(rules: str) -> Callable[[], Answer]:
    """PySigma as it is used everywhere: parse each file, convert each rule (to DuckDB)."""
    paths = rule_files([Path(path) for path in rules.split(",")])
    texts = [Path(file.path).read_text(encoding="utf-8") for file in paths]

    def run() -> Answer:
        converted = 0
        for text in texts:
            for rule in SigmaCollection.from_yaml(text).rules:
                if isinstance(rule, SigmaRule):
                    predicate(rule, VariantColumns(Variant(), ()))
                    converted += 1
        return {"rules": converted}

    return run


def sweep_lake(rules: str, cache: str, root: str, count: str = "0") -> Callable[[], Answer]:
    """A sweep; with a count, over so many rules, copies with other texts where they run out."""
    pack = load_pack([Path(path) for path in rules.split(",")], Path(cache))
    pack = _sized(pack, int(count)) if int(count) else pack

    def run() -> Answer:
        report = sweep(Path(root), pack)
        return {
            "rules": report.evaluated,
            "events": report.events,
            "scanned": report.scanned,
            "hits": {found.id: found.count for found in report.hits},
        }

    return run


def _sized(pack: RulePack, count: int) -> RulePack:
    rules = list(pack.rules[:: max(1, len(pack.rules) // count)][:count])
    copy = 0
    while len(rules) < count:
        copy += 1
        rules += [_copy(rule, copy) for rule in pack.rules[: count - len(rules)]]
    return RulePack(rules=tuple(rules), correlations=(), unsupported=(), files=0, found=len(rules))


def _copy(rule: CompiledRule, number: int) -> CompiledRule:
    form = json.dumps(_changed(json.loads(rule.form), number))
    return CompiledRule(
        id=f"{rule.id}-{number}", name="", title=rule.title, level=rule.level, author=rule.author,
        source=rule.source, logsource=rule.logsource, form=form,
    )  # fmt: skip


def _changed(form: Any, number: int) -> Any:
    if form[0] == "=":
        plain = form[2] in ("eq", "contains", "startswith", "endswith") and form[1] != "EventID"
        return [*form[:3], _turned(form[3], number)] if plain and len(form[3]) > 3 else form
    if form[0] == "#":
        return [form[0], form[1], _changed(form[2], number)]
    if form[0] == "!":
        return form  # without its exceptions a copy would hit far more than any rule does
    return [form[0], [_changed(item, number) for item in form[1]]]


def _turned(text: str, number: int) -> str:
    """The text with one letter in the middle replaced: as long, as rare, another one."""
    at = len(text) // 2
    return f"{text[:at]}{chr(ord('a') + number)}{text[at + 1 :]}"


def from_files(rules: str, cache: str, root: str, telemetry: str) -> Callable[[], Answer]:
    """Recordings to hits: load into an empty lake, then sweep."""
    pack = load_pack([Path(path) for path in rules.split(",")], Path(cache))

    def run() -> Answer:
        loaded = load_paths(Path(root), [Path(telemetry)])
        report = sweep(Path(root), pack)
        return {"events": loaded.events, "load": loaded.seconds, "sweep": report.seconds,
                "hits": {found.id: found.count for found in report.hits}}  # fmt: skip

    return run


def batched_duckdb(rules: str, root: str) -> Callable[[], Answer]:
    """The rules as predicates, up to 25 a scan, over the files of their channel."""
    parsed = [
        rule
        for file in rule_files([Path(path) for path in rules.split(",")])
        for rule in SigmaCollection.from_dicts(
            [yaml.load(Path(file.path).read_text("utf-8"), Loader=yaml.CSafeLoader)]
        ).rules
        if isinstance(rule, SigmaRule)
    ]
    session = duckdb.connect()
    session.execute("SET threads = 1")
    places: dict[tuple[str, tuple[int, ...]], list[tuple[str, str]]] = defaultdict(list)
    views: dict[str, list[str]] = {}
    for rule in parsed:
        for place in variants(logsource_of(rule)):
            columns = _view(session, Path(root), place.channel, views)
            if columns:
                condition = predicate(rule, VariantColumns(place, columns))
                places[place.channel, place.event_ids].append((str(rule.id), condition))

    def run() -> Answer:
        hits: dict[str, int] = defaultdict(int)
        for (channel, event_ids), waiting in places.items():
            scope = f'"@event_id" IN ({", ".join(map(str, event_ids))})' if event_ids else "TRUE"
            for start in range(0, len(waiting), _BATCH):
                share = waiting[start : start + _BATCH]
                counted = ", ".join(f"count(*) FILTER (WHERE {text})" for _, text in share)
                query = f'SELECT {counted} FROM "{channel or "events"}" WHERE {scope}'  # noqa: S608 - quoted by the compiler
                found = session.execute(query).fetchall()[0]
                for (rule, _), count in zip(share, found, strict=True):
                    hits[rule] += count
        return {
            "rules": len(parsed),
            "hits": {rule: count for rule, count in hits.items() if count},
        }

    return run


def _view(
    session: duckdb.DuckDBPyConnection, root: Path, channel: str, views: dict[str, list[str]]
) -> list[str]:
    if channel not in views:
        folder = channel_folder(channel) if channel else None
        held = [path for part in partitions(root, folder) for path in files(root, part)]
        listed = ", ".join(quote_text(str(path)) for path in held)
        views[channel] = []
        if held:
            session.execute(
                f'CREATE VIEW "{channel or "events"}" AS SELECT * FROM'  # noqa: S608 - our own paths
                f" read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
            )
            described = session.execute(f'DESCRIBE "{channel or "events"}"').fetchall()
            views[channel] = [row[0] for row in described]
    return views[channel]


PROBES: dict[str, Callable[..., Callable[[], Answer]]] = {
    "pack": load_rules,
    "stock": stock,
    "sweep": sweep_lake,
    "files": from_files,
    "duckdb": batched_duckdb,
}


def main() -> None:
    thing = PROBES[sys.argv[1]](*sys.argv[2:])
    wall, cpu = time.perf_counter(), time.process_time()
    answer = thing()
    answer["wall"] = time.perf_counter() - wall
    answer["cpu"] = time.process_time() - cpu
    answer["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
