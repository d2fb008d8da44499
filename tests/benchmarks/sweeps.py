"""The sweep's benchmark: what is measured, and the tables that are printed."""

import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import peers
from tests.benchmarks.labs import LabLake

RULES = ("rules", "rules-threat-hunting", "rules-emerging-threats")
GROWTH = (300, 1_500, 3_000, 6_000, 12_000)
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how often things are measured."""

    work: Path
    data: Path
    runs: int
    rsigma: Path | None
    duckdb_events: int
    parts: str

    @property
    def rules(self) -> str:
        return ",".join(str(self.data / "sigma" / name) for name in RULES)

    @property
    def windows(self) -> str:
        return str(self.data / "sigma" / "rules")

    @property
    def cache(self) -> Path:
        return self.work / "cache.db"


def run(setting: Setting, lakes: Sequence[LabLake]) -> None:
    setting.work.mkdir(parents=True, exist_ok=True)
    if "rules" in setting.parts:
        _rule_packs(setting)
    if "lakes" in setting.parts:
        for lake in lakes:
            _lake(setting, lake)
    if "growth" in setting.parts:
        _growth(setting, lakes[min(1, len(lakes) - 1)])
    if setting.rsigma is not None:
        _beside_rsigma(setting, setting.rsigma, lakes[min(1, len(lakes) - 1)])
    if "files" in setting.parts:
        _files(setting)


def _probe(*arguments: str) -> Answer:
    made = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.probe", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    found: Answer = json.loads(made.stdout)
    return found


def _median(runs: int, probe: Callable[[], Answer]) -> Answer:
    """The answer of the run with the median of processor seconds, memory as the most of all."""
    answers = sorted((probe() for _ in range(runs)), key=lambda answer: answer["cpu"])
    middle = dict(answers[len(answers) // 2])
    middle["memory"] = max(answer["memory"] for answer in answers)
    middle["wall"] = statistics.median(answer["wall"] for answer in answers)
    return middle


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _row(name: str, answer: Answer) -> None:
    _say(
        f"| {name} | {answer['cpu']:.2f} | {answer['wall']:.2f} | {answer['memory']} |"
        f" {sum(answer.get('hits', {}).values()) or '-'} |"
    )


def _head(title: str) -> None:
    _say(f"\n## {title}\n")
    _say("| | CPU s | wall s | peak MiB | hits |\n|---|---|---|---|---|")


def _rule_packs(setting: Setting) -> None:
    _head("Rules")
    stock = _probe("stock", setting.rules)
    _row(f"pySigma, parse and convert {stock['rules']} rules (once)", stock)
    cold = _median(setting.runs, lambda: _probe("pack", setting.rules, ""))
    _row("our compiler, no cache", cold)
    setting.cache.unlink(missing_ok=True)
    _probe("pack", setting.rules, str(setting.cache))
    time.sleep(2.1)  # files as new as the cache are read again
    cached = _median(setting.runs, lambda: _probe("pack", setting.rules, str(setting.cache)))
    _row("from the cache", cached)
    times = [round(other["cpu"] / cached["cpu"]) for other in (stock, cold)]
    _say(f"\nfrom the cache: {times[0]} times as fast as pySigma, {times[1]} times as ours")


def _lake(setting: Setting, lake: LabLake) -> None:
    state = lake.root / "sweep"

    def cold() -> Answer:
        shutil.rmtree(state, ignore_errors=True)
        return _probe("sweep", setting.rules, str(setting.cache), str(lake.root))

    def warm() -> Answer:
        _forget(state)
        return _probe("sweep", setting.rules, str(setting.cache), str(lake.root))

    first = _median(setting.runs, cold)
    _head(f"{first['events']} events, {first['rules']} rules")
    _row("cold", first)
    _row("warm", _median(setting.runs, warm))
    again = lambda: _probe("sweep", setting.rules, str(setting.cache), str(lake.root))  # noqa: E731
    _row("nothing new", _median(setting.runs, again))
    _say(f"\n{first['events'] / first['cpu'] / 1000:.0f} k events/s of processor time, cold")
    if first["events"] <= setting.duckdb_events:
        _beside_duckdb(setting, lake, first)


def _beside_duckdb(setting: Setting, lake: LabLake, ours: Answer) -> None:
    peer = _probe("duckdb", setting.rules, str(lake.root))
    _row("batched DuckDB (once)", peer)
    _say(f"\nbatched DuckDB takes {peer['cpu'] / ours['cpu']:.1f}x the cold sweep")
    _differences(ours, peer, "DuckDB")


def _differences(ours: Answer, peer: Answer, name: str) -> None:
    differing = {
        rule: (ours["hits"].get(rule, 0), peer["hits"].get(rule, 0))
        for rule in sorted({*ours["hits"], *peer["hits"]})
        if ours["hits"].get(rule, 0) != peer["hits"].get(rule, 0)
    }
    _say(f"rules with other counts (ours, {name}): {differing or 'none'}")


def _growth(setting: Setting, lake: LabLake) -> None:
    _head("Growth in rules, cold")
    times: dict[int, float] = {}
    for count in GROWTH:
        shutil.rmtree(lake.root / "sweep", ignore_errors=True)
        answer = _probe("sweep", setting.windows, str(setting.cache), str(lake.root), str(count))
        times[count] = answer["cpu"]
        _row(f"{count} rules over {answer['events']} events (once)", answer)
    _say(f"\n{GROWTH[-1]} rules take {times[GROWTH[-1]] / times[GROWTH[0]]:.1f}x the time of 300")


def _beside_rsigma(setting: Setting, program: Path, lake: LabLake) -> None:
    root = setting.work / "peer"
    events = peers.sysmon_lake(lake.root, root)
    rules = str(setting.data / "sigma" / "rules" / "windows" / "process_creation")
    _probe("pack", rules, str(setting.cache))

    def cold() -> Answer:
        shutil.rmtree(root / "sweep", ignore_errors=True)
        return _probe("sweep", rules, str(setting.cache), str(root))

    ours = _median(setting.runs, cold)
    peer = _median(setting.runs, lambda: peers.rsigma(program, rules, root))
    _head(f"{events} Sysmon events of id 1, {ours['rules']} process creation rules")
    _row("sweep, cold", ours)
    _row("rsigma (reads JSON and rules too; memory is the most of any child)", peer)
    _say(f"\nrsigma takes {peer['cpu'] / ours['cpu']:.1f}x the cold sweep")
    _differences(ours, peer, "rsigma")


def _files(setting: Setting) -> None:
    _head("EVTX files to hits")
    root = setting.work / "files"
    telemetry = str(setting.data / "telemetry" / "evtx")

    def cold() -> Answer:
        shutil.rmtree(root, ignore_errors=True)
        return _probe("files", setting.rules, str(setting.cache), str(root), telemetry)

    def warm() -> Answer:
        shutil.rmtree(root / "events", ignore_errors=True)
        _forget(root / "sweep")
        return _probe("files", setting.rules, str(setting.cache), str(root), telemetry)

    first = _median(setting.runs, cold)
    _row(f"{first['events']} events: load, then cold sweep", first)
    _row("the same with plans kept", _median(setting.runs, warm))


def _forget(state: Path) -> None:
    """Undo what was searched, keep plans."""
    with closing(sqlite3.connect(state / "v1.db")) as database, database:
        database.execute("DELETE FROM done")
        database.execute("DELETE FROM hits")
