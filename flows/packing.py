"""Packing: all the evidence of a hypothesis or a case as one file, and reading it back. No Prefect.

What leaves nothing: settings, keys and passwords. Values of the home's secrets are looked for in
every text and replaced, and what looks like a password on a recorded command line is hidden.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from huntonce.flows.bootstrap import Home
from huntonce.models.errors import ConfigError, DomainError, HuntonceError
from huntonce.models.finding import EventRef
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.keeping import UnitOfWork
from huntonce.models.report.concealing import HIDDEN, without_passwords
from huntonce.models.report.pack import CHAIN, chain_of, sha256
from huntonce.models.state.codec import encode
from huntonce.models.transition import Transition

MOST_FILES, MOST_BYTES = 100, 512 * 1024 * 1024
LEAST_SECRET = 6
"""Shorter values are not looked for: they stand in too many words."""
_EXACT = frozenset({"query", "rule", "body", "sha256", "evidence", "hash", "previous", "why"})
README = """Evidence of a hunt, packed by Huntonce.

hypothesis.jsonl   what was suspected            intel.jsonl         the objects it came from
hunts.jsonl        what was asked of what, with the power of each verdict
queries.jsonl      every query as it was sent    findings.jsonl      what was found
rows.jsonl         the events, each with the SHA-256 of the original where it is still held
gaps.jsonl         what could not be seen        detections.jsonl    the rules, with certificates
cases.jsonl        what went to IR               approvals.jsonl     what people decided
publications.jsonl what left, and what was held back
log.jsonl          the rows of the transition log about these things, with their own hashes
chain.jsonl        one row for every line of every file, each bound to the one before

huntonce pack verify FILE says which line was changed. By hand: the SHA-256 of a line, without its
line feed, is in chain.jsonl. Whoever writes the chain anew ends at another head: compare it with
the one that was printed when the pack was made.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A pack that was written."""

    path: Path
    head: str
    lines: Mapping[str, int]
    hidden: int


@dataclass(slots=True)
class _Scrub:
    """Takes secrets out of JSON values; counts what it took."""

    secrets: tuple[str, ...]
    found: int = 0

    def __call__(self, value: Any, name: str = "") -> Any:  # noqa: ANN401 - any JSON value
        match value:
            case str():
                return self._text(value, exact=name in _EXACT)
            case dict():
                return {self._text(k, exact=True): self(v, k) for k, v in value.items()}
            case list() | tuple():
                return [self(item, name) for item in value]
            case _:
                return value

    def _text(self, text: str, *, exact: bool) -> str:
        for secret in self.secrets:
            if secret in text:
                self.found += text.count(secret)
                text = text.replace(secret, HIDDEN)
        return text if exact else without_passwords(text)


@dataclass(slots=True)
class _Things:
    """What belongs together, as it is stored."""

    hypotheses: list[Hypothesis] = field(default_factory=list)
    files: dict[str, list[Any]] = field(default_factory=dict)
    events: dict[str, EventRef] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)


def write_pack(home: Home, target: str, out: Path | None = None) -> Packed:
    """Write the evidence of a hypothesis (H-1) or a case (CASE-1, C-1) into one zip file.

    Raises:
        DomainError: Nothing has that id.
        ConfigError: The file cannot be written.
    """
    with home.store.unit() as unit:
        name, things = _collect(unit, target.strip().upper())
        log = [row for row in unit.log.rows() if row.subject in things.ids]
    things.files["rows.jsonl"] = _rows(home, tuple(things.events.values()))
    scrub = _Scrub(secrets_of(home))
    about = {
        "format": 1,
        "about": name,
        "organisation": home.profile.name,
        "packed_at": home.clock().isoformat(),
    }
    files = {"README.txt": README.splitlines()}
    for file, values in {"pack.jsonl": [about], **things.files}.items():
        files[file] = [json.dumps(scrub(value), ensure_ascii=False) for value in values]
    files["log.jsonl"] = [_logged(row, scrub) for row in log]
    chain = chain_of(files)
    path = out or home.path / "packs" / f"{name}.zip"
    _write(path, {**files, CHAIN: chain})
    return Packed(
        path=path,
        head=json.loads(chain[-1])["hash"],
        lines={file: len(lines) for file, lines in files.items()},
        hidden=scrub.found,
    )


def read_pack(path: Path) -> Mapping[str, Sequence[str]]:
    """The files of a pack with their lines.

    Raises:
        ConfigError: It is no such file, or larger than any pack is.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            infos = opened.infolist()
            if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > MOST_BYTES:
                raise ConfigError(f"{path} is larger than any pack is", hint="do not trust it")
            files: dict[str, Sequence[str]] = {}
            for info in infos:
                with opened.open(info) as stream:
                    data = stream.read(MOST_BYTES + 1)
                text = data.decode("utf-8", "surrogateescape")
                lines = text.split("\n")
                files[info.filename] = lines[:-1] if lines[-1] == "" else lines
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ConfigError(f"{path} cannot be read as a pack: {error}") from error
    if CHAIN not in files:
        raise ConfigError(f"{path} is no pack: it has no {CHAIN}")
    return files


def not_in_store(home: Home, lines: Sequence[str]) -> tuple[int, ...]:
    """Lines (from 1) of a pack's log that the home's own log does not have so."""
    with home.store.unit() as unit:
        known = {row.seq: row.hash for row in unit.log.rows()}
    wrong = []
    for number, text in enumerate(lines, start=1):
        try:
            row = json.loads(text)
            same = known.get(row["seq"]) == row["hash"]
        except (KeyError, TypeError, ValueError):
            same = False
        if not same:
            wrong.append(number)
    return tuple(wrong)


def secrets_of(home: Home) -> tuple[str, ...]:
    """Values of every secret of the home's settings, and of its keys; the longest first."""
    keys = {path.read_text().strip() for path in home.path.glob("mask-keys/*.key")}
    values = {*_secrets(home.settings), *keys}
    return tuple(sorted((v for v in values if len(v) >= LEAST_SECRET), key=len, reverse=True))


def _secrets(value: object) -> Iterable[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for name in type(value).model_fields:
                yield from _secrets(getattr(value, name))
        case dict():
            for item in value.values():
                yield from _secrets(item)
        case list() | tuple():
            for item in value:
                yield from _secrets(item)


def _collect(unit: UnitOfWork, asked: str) -> tuple[str, _Things]:
    case = unit.cases.get(asked) or unit.cases.get(asked.replace("C-", "CASE-", 1))
    one = unit.hunts.get(asked)
    about = case or one
    claim = unit.hypotheses.by_key(about.hypothesis_key) if about else unit.hypotheses.get(asked)
    if claim is None and about is None:
        hint = "H-1, HUNT-1 or CASE-1"
        raise DomainError(f"nothing to pack has the id {asked[:40]!r}", hint=hint)
    key = claim.key if claim is not None else ""
    hunts = [one] if one else [run for run in unit.hunts.list() if run.hypothesis_key == key]
    if case is not None:
        hunts = [run for run in hunts if case.id in run.case_ids] or hunts
    cases = [case] if case else [c for c in unit.cases.list() if c.hypothesis_key == key]
    if one is not None:
        cases = [c for c in cases if c.id in one.case_ids]
    found = {i for run in hunts for i in run.finding_ids} | {
        i for c in cases for i in c.finding_ids
    }
    findings = [f for f in unit.findings.list() if f.id in found]
    gap_ids = {i for run in hunts for i in run.gap_ids}
    gaps = [g for g in unit.gaps.list() if g.id in gap_ids or (not about and key in g.unlocks)]
    detections = [d for d in unit.detections.list() if d.hypothesis_key == key]
    if one is not None:
        detections = [d for d in detections if d.id in one.detection_ids]
    things = _Things(hypotheses=[claim] if claim is not None else [])
    parts: dict[str, Sequence[Any]] = {
        "hypothesis.jsonl": things.hypotheses,
        "hunts.jsonl": hunts,
        "findings.jsonl": findings,
        "gaps.jsonl": gaps,
        "detections.jsonl": detections,
        "cases.jsonl": cases,
    }
    things.ids = {thing.id for several in parts.values() for thing in several}
    parts["approvals.jsonl"] = [p for p in unit.proposals.list() if p.subject in things.ids]
    parts["publications.jsonl"] = [p for p in unit.publications.list() if p.subject in things.ids]
    for file in ("approvals.jsonl", "publications.jsonl"):
        things.ids |= {thing.id for thing in parts[file]}
    things.files = {
        file: [json.loads(encode(thing)) for thing in several] for file, several in parts.items()
    }
    things.files["intel.jsonl"] = _intel(unit, things.hypotheses)
    things.files["queries.jsonl"] = [
        {
            "hunt": run.id,
            "check": check.name,
            "query": check.query,
            "sha256": sha256(check.query),
            "events": check.events,
            "executed": check.executed,
            "complete": check.complete,
            "why": check.why,
        }
        for run in hunts
        for check in run.checks
    ]
    refs = [e for f in findings for e in f.events] + [e for c in cases for e in c.events]
    things.events = {event.uid: event for event in refs}
    return (case.id if case else asked), things


def _intel(unit: UnitOfWork, hypotheses: Iterable[Hypothesis]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for source in (source for h in hypotheses for source in h.sources):
        held = unit.intel.get(source.object_id)
        body = held.body.decode("utf-8", "replace") if held is not None else ""
        rows.append(
            {
                "id": source.object_id,
                "feed": source.feed,
                "tlp": source.tlp.value,
                "modified": source.modified.isoformat(),
                "held": held is not None,
                "sha256": sha256(body) if held is not None else None,
                "body": body,
            }
        )
    return rows


def _rows(home: Home, events: tuple[EventRef, ...]) -> list[dict[str, object]]:
    """The events with the hash of each original; what cannot be fetched is said, not left out."""
    why = "no longer held"
    originals: Mapping[str, str] = {}
    if events:
        try:
            originals = home.siem().originals(events)
        except HuntonceError as error:
            why = f"could not be asked for: {error}"
    return [
        {
            **json.loads(encode(event)),
            "original_sha256": sha256(originals[event.uid]) if event.uid in originals else None,
            "note": "" if event.uid in originals else why,
        }
        for event in events
    ]


def _logged(row: Transition, scrub: _Scrub) -> str:
    """A row of the log as it is, so that its hash fits; one with a secret in it says so instead."""
    values = _row(row)
    before = scrub.found
    cleaned = {name: scrub(value, "hash") for name, value in values.items()}
    if scrub.found > before:
        cleaned["hidden"] = True
    return json.dumps(cleaned, ensure_ascii=False)


def _row(row: Transition) -> dict[str, object]:
    return {
        "seq": row.seq,
        "kind": str(row.kind),
        "subject": row.subject,
        "before": row.before,
        "after": row.after,
        "at": row.at.isoformat(),
        "actor": row.actor,
        "why": row.why,
        "evidence": row.evidence,
        "previous": row.previous,
        "hash": row.hash,
    }


def _write(path: Path, files: Mapping[str, Sequence[str]]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)  # of a pack that was killed
        # All the evidence: for its owner alone, and never through a link that others laid there.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with (
            os.fdopen(descriptor, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made,
        ):
            for name, lines in files.items():
                info = zipfile.ZipInfo(name)  # without a time of its own: same evidence, same bytes
                info.compress_type = zipfile.ZIP_DEFLATED
                text = "".join(f"{line}\n" for line in lines)
                made.writestr(info, text.encode("utf-8", "replace"))
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)  # a full disk has no room for half a pack
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}",
            hint="see that the disk is not full, or name another file with --out",
        ) from error
