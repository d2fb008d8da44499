"""The asset list: a CSV as companies keep it, read into the hosts that should send telemetry.

A row that cannot be used is set aside and told; what is doubtful keeps its host in scope. A host
too many lowers power and is seen; one too few would be blind, and nobody would know.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from huntonce.flows.assetwords import NOTHING, places_of, platform_of
from huntonce.flows.csvrows import SEPARATORS, Row, lines_of, read_text, rows
from huntonce.flows.settings import ASSET_COLUMNS
from huntonce.models.errors import ConfigError
from huntonce.models.profile import Asset
from huntonce.models.windows import utc

MAX_ROWS = 500_000
WINDOWS = "windows"
_NAME = re.compile(r"(?!-)[\w-]{1,63}(\.[\w-]{1,63}){0,9}\.?\Z")
_DOTTED = re.compile(r"\A(\d{1,2})\.(\d{1,2})\.(\d{4})(?=\Z|[ T,])")
_EARLY = re.compile(r"(?<=[ T])(\d)(?=:)")
_SHOWN = 24


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a row that its owner should know.

    Attributes:
        line: Where the row starts, from 1.
        reason: What is wrong and what was made of it, in a sentence.
        dropped: The row was set aside; else its host counts.
    """

    line: int
    reason: str
    dropped: bool = True

    @property
    def words(self) -> str:
        """Line and reason."""
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetList:
    """What an asset list says.

    Attributes:
        assets: Each host once, in the order of the list; also those of other platforms.
        remarks: By line.
        repeated: Rows that named a host again.
    """

    path: Path
    assets: tuple[Asset, ...]
    remarks: tuple[Remark, ...] = ()
    repeated: int = 0

    @property
    def in_scope(self) -> int:
        """Hosts whose evidence we know."""
        return sum(asset.platform == WINDOWS for asset in self.assets)

    @property
    def elsewhere(self) -> Mapping[str, int]:
        """Other platforms to how many hosts they have."""
        return Counter(a.platform for a in self.assets if a.platform != WINDOWS)

    def told(self) -> str:
        """How many rows were set aside and how many are doubtful, in words; the first of them."""
        if not self.remarks:
            return "nothing set aside"
        dropped = sum(remark.dropped for remark in self.remarks)
        doubtful = len(self.remarks) - dropped
        parts = []
        if dropped:
            parts.append(f"{dropped} {'row' if dropped == 1 else 'rows'} set aside")
        if doubtful:
            parts.append(f"{doubtful} doubtful")
        return f"{', '.join(parts)}; the first: {self.remarks[0].words}"


def read_assets(path: Path) -> AssetList:
    """Read the asset list of a company.

    One column must name the host (host, Hostname, Computer Name, FQDN ...); ip, role, platform
    (OS), owner (team, department), joined and left are optional. Comma, semicolon, tab and bar
    separate; dates are 2026-11-02, also with a time, or 02.11.2026.

    Raises:
        ConfigError: The file cannot be read, has no column with hosts, too many rows, no row that
            can be used, or no host that runs Windows.
    """
    lines = lines_of(read_text(path))
    header = _header(path, lines)
    reader = _Reader(header)
    for number, row in enumerate(rows(lines, header.separator, header.after)):
        if number >= MAX_ROWS:
            raise ConfigError(f"{path}: more than {MAX_ROWS} rows", hint="is it a list of hosts?")
        reader.take(row)
    found = reader.found(path)
    if not found.assets:
        first = f"; {found.remarks[0].words}" if found.remarks else ""
        raise ConfigError(
            f"{path}: it names no host{first}",
            hint="fill it; without organisation.assets the hosts are those that send telemetry",
        )
    if not found.in_scope:
        others = ", ".join(f"{count} {name}" for name, count in found.elsewhere.items())
        raise ConfigError(
            f"{path}: none of its hosts runs Windows ({others}): nothing would be in scope",
            hint="add the Windows hosts, or correct the column with the platform",
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """Where the hosts begin, and which column has what.

    Attributes:
        after: Index of the first line below it.
        width: How many columns have a title.
    """

    after: int
    separator: str
    width: int
    places: Mapping[str, Sequence[int]]


def _header(path: Path, lines: list[str]) -> _Header:
    start, separators = 0, SEPARATORS
    while start < len(lines):
        line = lines[start].strip().strip('"')
        if len(line) == len("sep=;") and line.casefold().startswith("sep="):  # Excel's
            separators = line[-1]
        elif line and not line.startswith("#TYPE "):  # PowerShell's Export-Csv
            break
        start += 1
    found: list[_Header] = []
    titles: tuple[str, ...] = ()
    for separator in separators:
        first, second = (*islice(rows(lines, separator, start), 2), None, None)[:2]
        if first is None:
            continue
        titles = max(titles, first.cells, key=len)
        found.append(
            _Header(
                after=second.line - 1 if second else len(lines),
                separator=separator,
                width=len(first.cells),
                places=places_of(first.cells),
            )
        )
    best = max(found, key=lambda header: len(header.places), default=None)
    if best is None or "host" not in best.places:
        seen = f" among {', '.join(titles)[:200]}" if any(titles) else ": it is empty"
        raise ConfigError(f"{path}: no column 'host'{seen}", hint=f"columns: {ASSET_COLUMNS}")
    return best


class _Reader:
    """Takes row after row; a host that comes again is joined to what is known of it."""

    def __init__(self, header: _Header) -> None:
        self._places = header.places
        self._width = header.width
        self._assets: dict[str, Asset] = {}
        self._lines: dict[str, int] = {}
        self._remarks: list[Remark] = []
        self._repeated = 0

    def found(self, path: Path) -> AssetList:
        return AssetList(
            path=path,
            assets=tuple(self._assets.values()),
            remarks=tuple(self._remarks),
            repeated=self._repeated,
        )

    def take(self, row: Row) -> None:
        if row.empty:
            return
        fault = row.fault
        if not fault and any(row.cells[self._width :]):
            fault = (
                f"{len(row.cells)} cells under {self._width} titles: is a separator inside a cell?"
            )
        if fault:
            self._remark(row, fault, dropped=True)
            return
        host, fault = self._host(row)
        if fault:
            self._remark(row, fault, dropped=True)
            return
        asset = Asset(
            host=host,
            ip=self._ip(row),
            role=self._text(row, "role"),
            platform=self._platform(row),
            owner=self._text(row, "owner"),
            joined=self._date(row, "joined"),
            left=self._date(row, "left"),
        )
        if asset.joined and asset.left and asset.left <= asset.joined:
            self._remark(row, f"{host} left before it joined: both days are left out")
            asset = replace(asset, joined=None, left=None)
        self._keep(row, asset)

    def _keep(self, row: Row, asset: Asset) -> None:
        known = self._assets.get(asset.name)
        if known is None:
            self._assets[asset.name] = asset
            self._lines[asset.name] = row.line
            return
        self._repeated += 1
        if known.host.casefold() != asset.host.casefold() and "." in known.host and (
            "." in asset.host
        ):  # fmt: skip
            self._remark(
                row,
                f"{asset.host} has the short name of {known.host} (line "
                f"{self._lines[asset.name]}): telemetry cannot tell them apart, they count as one",
            )
        if known.platform != asset.platform:
            self._remark(
                row,
                f"{asset.host} is {asset.platform} here and {known.platform} in line "
                f"{self._lines[asset.name]}: it counts as {_either(known, asset)}",
            )
        self._assets[asset.name] = _joined(known, asset)

    def _host(self, row: Row) -> tuple[str, str]:
        """The name of the host, or what is wrong with it."""
        text = next(self._cells(row, "host"), "")
        if not text:
            return "", "it names no host"
        name = text.rsplit("\\", 1)[-1].removesuffix("$").removesuffix(".")
        if _address(text) is not None:
            return "", f"{_cut(text)!r} is an address, and telemetry goes by names"
        if not _NAME.match(name):
            return "", f"{_cut(text)!r} is no name of a host"
        return name, ""

    def _platform(self, row: Row) -> str:
        text = self._text(row, "platform")
        found = platform_of(text)
        if found is None:
            self._remark(row, f"platform {_cut(text)!r} is not known: counted as Windows")
        return found or WINDOWS

    def _ip(self, row: Row) -> str:
        text = self._text(row, "ip")
        parts = [part for part in re.split(r"[\s,;/|]+", text) if part]
        good = next((part for part in parts if _address(part) is not None), "")
        if parts and not good:
            self._remark(row, f"{_cut(text)!r} is no address: left out")
        return good

    def _date(self, row: Row, meant: str) -> datetime | None:
        text = self._text(row, meant)
        if not text:
            return None
        written = _DOTTED.sub(lambda d: f"{d[3]}-{int(d[2]):02d}-{int(d[1]):02d}", text)
        try:
            return utc(datetime.fromisoformat(_EARLY.sub(r"0\1", written.replace(", ", " "))))
        except (ValueError, OverflowError):
            which = ", and which part is the day cannot be told" if "/" in text else ""
            self._remark(
                row, f"{meant} {_cut(text)!r} is no date{which}: left out; write 2026-11-02"
            )
            return None

    def _text(self, row: Row, meant: str) -> str:
        found = (cell for cell in self._cells(row, meant) if cell.casefold() not in NOTHING)
        return next(found, "")

    def _cells(self, row: Row, meant: str) -> Iterator[str]:
        for place in self._places.get(meant, ()):
            if place < len(row.cells) and row.cells[place]:
                yield row.cells[place]

    def _remark(self, row: Row, reason: str, *, dropped: bool = False) -> None:
        self._remarks.append(Remark(row.line, reason, dropped))


def _joined(one: Asset, other: Asset) -> Asset:
    """A host of two rows: all that either says of it, and in scope whenever either has it so."""
    roles = [one.role]
    if other.role and other.role.casefold() not in one.role.casefold().split(" / "):
        roles.append(other.role)
    return Asset(
        host=one.host if "." in one.host else other.host,
        ip=one.ip or other.ip,
        role=" / ".join(role for role in roles if role),
        platform=_either(one, other),
        owner=one.owner or other.owner,
        joined=min(one.joined, other.joined) if one.joined and other.joined else None,
        left=max(one.left, other.left) if one.left and other.left else None,
    )


def _either(one: Asset, other: Asset) -> str:
    return WINDOWS if WINDOWS in {one.platform, other.platform} else one.platform


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return None if "%" in text else ipaddress.ip_address(text)  # a zone could hold anything
    except ValueError:
        return None


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
