"""RSigma beside the sweep: the same Sysmon events, the same process creation rules.

Its program reads JSON lines and knows no log sources, so it gets the events of Sysmon's id 1 only.
Its time includes reading JSON and rules; ours includes neither loading nor compiling.
"""

import json
import resource
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.layout import channel_folder, events_folder, files, partitions
from huntonce.connectors.sigma.channels import SYSMON


def sysmon_lake(source: Path, root: Path) -> int:
    """A lake of Sysmon's events only, and those of id 1 as JSON lines; how many these are."""
    shutil.rmtree(root, ignore_errors=True)
    folder = f"channel={channel_folder(SYSMON)}"
    shutil.copytree(events_folder(source) / folder, events_folder(root) / folder)
    count = 0
    with (root / "events.ndjson").open("wb") as stream:
        for partition in partitions(root):
            for path in files(root, partition):
                for row in pq.ParquetFile(path).read().to_pylist():
                    if row["@event_id"] == 1:
                        stream.write(orjson.dumps(_flat(row), option=orjson.OPT_APPEND_NEWLINE))
                        count += 1
    return count


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in row.items() if value is not None and name[0] != "@"}
    return {**own, "Channel": row["@channel"], "EventID": row["@event_id"]}


def rsigma(program: Path, rules: str, root: Path) -> dict[str, Any]:
    """Its processor and wall seconds, peak memory (MiB) and hits by rule."""
    output = root / "rsigma.ndjson"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with output.open("wb") as stream:
        subprocess.run(
            [str(program), "engine", "eval", "--quiet", "-r", rules, "--input-format", "json",
             "--output-format", "ndjson", "-e", f"@{root / 'events.ndjson'}"],
            check=True, stdout=stream,
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    hits: Counter[str] = Counter()
    with output.open("rb") as stream:
        for line in stream:
            hits[json.loads(line)["rule_id"]] += 1
    return {
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "wall": time.perf_counter() - started,
        "memory": after.ru_maxrss // 1024,
        "hits": dict(hits),
    }
