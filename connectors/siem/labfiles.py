"""The lab as files that the ordinary loader takes: JSON lines in the shape of evtx-rs."""

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from huntonce.models.lab.company import Company
from huntonce.models.lab.generate import host_days

PART_BYTES = 256 * 1024 * 1024
"""A day's file that grows beyond this goes on in another part."""
ASSETS = "assets.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFiles:
    """What was written.

    Attributes:
        paths: Event files in order of time.
        assets_csv: Asset list: host, ip, role, platform.
    """

    paths: tuple[Path, ...]
    events: int
    bytes: int
    assets_csv: Path


def write_lab(company: Company, folder: Path) -> LabFiles:
    """Write a company's events, a file a day, and its asset list; existing files are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    events = total = size = 0
    current = ""
    with ExitStack() as stack:
        file: IO[bytes] | None = None
        for day, lines in _lines(company):
            if file is None or day != current or size > PART_BYTES:
                stack.close()
                part = 1 + sum(path.name.startswith(day) for path in paths)
                paths.append(folder / (f"{day}.jsonl" if part == 1 else f"{day}-{part}.jsonl"))
                file = stack.enter_context(paths[-1].open("wb"))
                current, size = day, 0
            block = b"".join(lines)
            file.write(block)
            events += len(lines)
            size += len(block)
            total += len(block)
    assets = folder / ASSETS
    _write_assets(company, assets)
    return LabFiles(paths=tuple(paths), events=events, bytes=total, assets_csv=assets)


def _lines(company: Company) -> Iterator[tuple[str, list[bytes]]]:
    dumps, option = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    for day, events in host_days(company):
        yield day.isoformat(), [dumps(event.record(), option=option) for event in events]


def _write_assets(company: Company, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("host", "ip", "role", "platform"))
        for asset in company.profile().assets:
            writer.writerow((asset.host, asset.ip, asset.role, asset.platform))
