"""Detections as code: a folder (of a Git checkout, say) with a rule and its proof in files.

For each rule: ``<rule id>.yml`` (Sigma), ``.filters.yml`` (Sigma filters, where there are any),
``.certificate.json`` and ``.sha256``, which ``sha256sum --check`` reads. What is retired lies in
``retired/``. Names are made of the rule's UUID and of nothing else.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huntonce.models.errors import TerminalError

RULE, FILTERS, CERTIFICATE, HASHES = ".yml", ".filters.yml", ".certificate.json", ".sha256"
PARTS = (RULE, FILTERS, CERTIFICATE)
RETIRED = "retired"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A file that is not as it was written.

    Attributes:
        why: ``changed``, ``missing``, or ``unknown`` where the hashes themselves are unreadable.
    """

    rule_id: str
    file: str
    why: str


class RuleFolder:
    """A folder of Sigma rules."""

    def __init__(self, path: Path, name: str = "folder") -> None:
        self._path = path
        self._name = name

    @property
    def name(self) -> str:
        """Registered name of the store."""
        return self._name

    def find(self, key: str) -> str | None:
        """The rule's id, where its file is here and not retired."""
        if _UUID.fullmatch(key.lower()) is None:
            return None
        rule_id = key.lower()
        with self._on_disk():
            return rule_id if (self._path / f"{rule_id}{RULE}").is_file() else None

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write the rule, its filters and its certificate; returns its id.

        Files that hold the same already are left alone; files that a person changed are written
        over (``drift`` tells of them before).

        Raises:
            TerminalError: The key is no UUID or not the rule's own, a part is missing or of the
                wrong type, or the folder cannot be written.
        """
        rule_id = self._rule_id(key)
        if self._rule_id(detection.get("rule_id")) != rule_id:
            raise self._wrong(f"{rule_id}: the detection names another rule id")
        contents = self._contents(rule_id, detection)
        with self._on_disk():
            self._path.mkdir(parents=True, exist_ok=True)
            for part in PARTS:
                self._put(f"{rule_id}{part}", contents.get(part))
            # Last, so that a write cut short shows as drift and the next deploy mends it.
            hashes = "".join(
                f"{hashlib.sha256(content).hexdigest()}  {rule_id}{part}\n"
                for part, content in contents.items()
            )
            self._put(f"{rule_id}{HASHES}", hashes.encode())
        return rule_id

    def retire(self, remote_id: str) -> None:
        """Move the rule's files to ``retired/``; a retired one stays as it is.

        Raises:
            TerminalError: There is no such rule, or the files cannot be moved.
        """
        rule_id = self._rule_id(remote_id)
        with self._on_disk():
            retired = self._path / RETIRED
            for part in (*PARTS, HASHES):
                name = f"{rule_id}{part}"
                if (self._path / name).is_file():
                    retired.mkdir(exist_ok=True)
                    (self._path / name).replace(retired / name)
            if not (retired / f"{rule_id}{RULE}").is_file():
                raise self._wrong(f"no rule {rule_id} in the folder")

    def rules(self) -> tuple[str, ...]:
        """Ids of the rules that are here and not retired, sorted."""
        with self._on_disk():
            if not self._path.is_dir():
                return ()
            names = (path.name.removesuffix(RULE) for path in self._path.glob(f"*{RULE}"))
            return tuple(sorted(name for name in names if _UUID.fullmatch(name)))

    def drift(self) -> tuple[Drift, ...]:
        """Files that are not as they were written, by rule; what others put here is left out."""
        with self._on_disk():
            if not self._path.is_dir():
                return ()
            ids = sorted(path.name.removesuffix(HASHES) for path in self._path.glob(f"*{HASHES}"))
            return tuple(
                drift
                for rule_id in ids
                if _UUID.fullmatch(rule_id)
                for drift in self._drift_of(rule_id)
            )

    def _drift_of(self, rule_id: str) -> Iterator[Drift]:
        recorded = (self._path / f"{rule_id}{HASHES}").read_text("utf-8", "replace").splitlines()
        ours = {f"{rule_id}{part}" for part in PARTS}
        for line in recorded:
            match = _HASH_LINE.fullmatch(line)
            if match is None or match[2] not in ours:
                yield Drift(rule_id=rule_id, file=f"{rule_id}{HASHES}", why="unknown")
                continue
            path = self._path / match[2]
            if not path.is_file():
                yield Drift(rule_id=rule_id, file=match[2], why="missing")
            elif hashlib.sha256(path.read_bytes()).hexdigest() != match[1]:
                yield Drift(rule_id=rule_id, file=match[2], why="changed")

    def _contents(self, rule_id: str, detection: Mapping[str, object]) -> dict[str, bytes]:
        rule, filters = detection.get("rule"), detection.get("filters", ())
        if not isinstance(rule, str) or not rule.strip():
            raise self._wrong(f"{rule_id}: a detection needs its rule as YAML text")
        if not isinstance(filters, Sequence) or isinstance(filters, str):
            raise self._wrong(f"{rule_id}: filters are a list of YAML texts")
        contents = {RULE: _text(rule)}
        if filters:
            contents[FILTERS] = b"---\n".join(_text(str(item)) for item in filters)
        try:
            certificate = json.dumps(
                detection.get("certificate"), indent=2, sort_keys=True, allow_nan=False
            )
        except (TypeError, ValueError) as error:
            raise self._wrong(f"{rule_id}: the certificate is not JSON-able: {error}") from error
        contents[CERTIFICATE] = _text(certificate)
        return contents

    def _put(self, name: str, content: bytes | None) -> None:
        path = self._path / name
        if content is None:
            path.unlink(missing_ok=True)
            return
        if path.is_file() and path.read_bytes() == content:
            return
        handle, temporary = tempfile.mkstemp(dir=self._path, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _rule_id(self, key: object) -> str:
        if isinstance(key, str) and _UUID.fullmatch(key.lower()):
            return key.lower()
        raise self._wrong(f"a rule id is a UUID, not {str(key)[:60]!r}")

    def _wrong(self, message: str) -> TerminalError:
        return TerminalError(message, connector=self._name)

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TerminalError(
                f"the rule folder failed: {error}",
                connector=self._name,
                hint="see that the folder exists, may be written, and the disk is not full",
            ) from error


def _text(text: str) -> bytes:
    return text.rstrip("\n").encode("utf-8", "replace") + b"\n"
