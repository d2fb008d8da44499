"""Lakes of the generated lab at a wanted size, made once."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DAYS = 20
_EVENTS_A_HOST = 1_020


@dataclass(frozen=True, slots=True)
class LabLake:
    """A loaded lake."""

    root: Path
    files: Path


def lake(work: Path, events: int) -> LabLake:
    """A lake of about so many events."""
    root, files = work / f"lake-{events}", work / f"files-{events}"
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        hosts = max(20, round(events / _EVENTS_A_HOST))
        # A process of its own: the loader starts workers, which import this module again.
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.labs", str(hosts), str(files), str(root)],
            check=True,
        )
        (root / "complete").touch()
    return LabLake(root, files)


def main() -> None:
    from huntonce.connectors.siem.labfiles import write_lab  # noqa: PLC0415 - only in the child
    from huntonce.connectors.siem.lake.loader import load_paths  # noqa: PLC0415
    from huntonce.models.lab.company import LabSpec, build_company  # noqa: PLC0415

    hosts, files, root = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    written = write_lab(build_company(LabSpec(hosts=hosts, days=DAYS, noise=1.2)), files)
    report = load_paths(root, list(written.paths))
    sys.stdout.write(
        f"lab of {hosts} hosts: {report.events} events loaded in {report.seconds:.1f} s\n"
    )


if __name__ == "__main__":
    main()
