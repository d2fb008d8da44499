"""``python -m tests.benchmarks.probing``: what probing costs, cold and remembered.

Method: each figure comes from a process of its own and is the median of ``--runs`` (3). Lakes are
the generated lab's at the wanted sizes, with its asset list as population. "Cold" has nothing
remembered, "warm" repeats it in a new process, "a new day" has all but the newest day remembered.
Each is the whole survey: inventory, fill, counts, lags and the probes of every evidence model.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import labs

LIMIT = 3.0
"""Seconds for inventory and probes of a lab of five million events (wall, quiet machine)."""


def measure(root: Path, files: Path, memory: Path, *, but_last: bool) -> dict[str, Any]:
    """Probe in this process."""
    from huntonce.connectors.siem.remembering import RememberingSiem  # noqa: PLC0415
    from huntonce.connectors.siem.sweep.countedlake import CountedLake  # noqa: PLC0415
    from huntonce.flows.assets import read_assets  # noqa: PLC0415
    from huntonce.models.content import load_library  # noqa: PLC0415
    from huntonce.models.profile import Profile  # noqa: PLC0415
    from huntonce.models.stages.probe import look_for_all  # noqa: PLC0415
    from huntonce.models.windows import Window  # noqa: PLC0415

    siem = RememberingSiem(CountedLake(root), memory)
    profile = Profile(assets=read_assets(files / "assets.csv").assets)
    evidence = load_library().evidence
    models = [evidence[key] for key in sorted(evidence)]
    wall, cpu = time.perf_counter(), time.process_time()
    window = siem.extent()
    if window is None:
        raise SystemExit(f"{root} is empty")
    if but_last:
        window = Window(window.start, window.end.replace(hour=0, minute=0, second=0, microsecond=0))
    inventory = siem.inventory(window)
    read = time.perf_counter() - wall
    sights = look_for_all(siem, models, window, profile)
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "inventory": read,
        "rows": inventory.num_rows,
        "hosts": len(sights[0].population),
        "models": len(models),
        "probes": sum(len(sight.probes) for sight in sights),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def run(work: Path, sizes: list[int], runs: int = 3) -> list[dict[str, Any]]:
    """Measure every size, print a line a figure, and give the figures back."""
    found = []
    for size in sizes:
        lab = labs.lake(work, size)
        memory = work / f"probes-{size}"
        for name in ("cold", "warm", "a new day"):
            several = []
            for _ in range(runs):
                if name != "warm":
                    shutil.rmtree(memory, ignore_errors=True)
                if name == "a new day":
                    _child(lab, memory, but_last=True)
                several.append(_child(lab, memory, but_last=False))
            figure = {"events": size, "what": name, **_median(several)}
            found.append(figure)
            sys.stdout.write(
                f"{size:>9,} events, {figure['hosts']:,} hosts, {name:<9}: "
                f"{figure['wall']:.2f} s wall, {figure['cpu']:.2f} s processor, inventory "
                f"{figure['inventory']:.2f} s of it ({figure['rows']:,} rows), "
                f"{figure['probes']:,} probes of {figure['models']} models, "
                f"{figure['memory']} MiB\n"
            )
            sys.stdout.flush()
    return found


def _median(several: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: statistics.median(one[name] for one in several) for name in several[0]}


def _child(lab: labs.LabLake, memory: Path, *, but_last: bool) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.probing", "--one"]
    command += [str(lab.root), str(lab.files), str(memory), "1" if but_last else "0"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        root, files, memory = (Path(text) for text in sys.argv[2:5])
        sys.stdout.write(json.dumps(measure(root, files, memory, but_last=sys.argv[5] == "1")))
        return
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.probing", description=__doc__)
    parser.add_argument("--sizes", default="1000000,5000000", help="events, with commas")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="keeps the lakes for another time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = [int(size) for size in options.sizes.split(",")]
        run(options.work or Path(folder), sizes, options.runs)


if __name__ == "__main__":
    main()
