"""Detections as code: a folder with, for each rule, the rule, its proof and its origin in files.

For each rule: ``<rule id>.yml`` (Sigma), ``.filters.yml`` (Sigma filters, where there are any),
``.certificate.json``, ``.fixtures.json`` (the kept events), ``.hunt.json`` (the hunt that it came
from) and ``.sha256``, which ``sha256sum --check`` reads. What is retired lies in ``retired/``.
Names are made of the rule's UUID and of nothing else.
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

PARTS: Mapping[str, str] = {
    "rule": ".yml",
    "filters": ".filters.yml",
    "certificate": ".certificate.json",
    "fixtures": ".fixtures.json",
    "hunt": ".hunt.json",
}
"""What a detection consists of, and how the file of each part ends."""
HASHES = ".sha256"
RETIRED = "retired"
MAX_BYTES = 16 * 1_048_576
"""Longest file that is read back."""
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

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    def find(self, key: str) -> str | None:
        """The rule's id, where its file is here and not retired."""
        if _UUID.fullmatch(key.lower()) is None:
            return None
        rule_id = key.lower()
        with self._on_disk():
            return rule_id if (self._path / f"{rule_id}{PARTS['rule']}").is_file() else None

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write what belongs to a detection; returns its id.

        Files that hold the same already are left alone. A file that a person changed is not
        written over, unless the detection says ``overwrite``: people look at the drift first.

        Raises:
            TerminalError: The key is no UUID or not the rule's own, a part is missing or of the
                wrong type, a file was changed by hand, or the folder cannot be written.
        """
        rule_id = self._rule_id(key)
        if self._rule_id(detection.get("rule_id")) != rule_id:
            raise self._wrong(f"{rule_id}: the detection names another rule id")
        contents = self._contents(rule_id, detection)
        with self._on_disk():
            if not detection.get("overwrite"):
                self._check_untouched(rule_id, contents)
            self._path.mkdir(parents=True, exist_ok=True)
            for part, ending in PARTS.items():
                self._put(f"{rule_id}{ending}", contents.get(part))
            # Last, so that a write cut short shows as drift and the next deploy mends it.
            hashes = "".join(
                f"{hashlib.sha256(content).hexdigest()}  {rule_id}{PARTS[part]}\n"
                for part, content in contents.items()
            )
            self._put(f"{rule_id}{HASHES}", hashes.encode())
            for ending in (*PARTS.values(), HASHES):
                (self._path / RETIRED / f"{rule_id}{ending}").unlink(missing_ok=True)
        return rule_id

    def retire(self, remote_id: str) -> None:
        """Move the rule's files to ``retired/``; a retired one stays as it is.

        Raises:
            TerminalError: There is no such rule, or the files cannot be moved.
        """
        rule_id = self._rule_id(remote_id)
        with self._on_disk():
            retired = self._path / RETIRED
            for ending in (*PARTS.values(), HASHES):
                name = f"{rule_id}{ending}"
                if (self._path / name).is_file():
                    retired.mkdir(exist_ok=True)
                    (self._path / name).replace(retired / name)
            if not (retired / f"{rule_id}{PARTS['rule']}").is_file():
                raise self._wrong(f"no rule {rule_id} in the folder")

    def rules(self) -> tuple[str, ...]:
        """Ids of the rules that are here and not retired, sorted."""
        with self._on_disk():
            if not self._path.is_dir():
                return ()
            ending = PARTS["rule"]
            names = (path.name.removesuffix(ending) for path in self._path.glob(f"*{ending}"))
            return tuple(sorted(name for name in names if _UUID.fullmatch(name)))

    def kept(self, key: str) -> Mapping[str, str] | None:
        """Part to its text as it is here now; None where the rule is not here.

        Raises:
            TerminalError: A file cannot be read, or is larger than ``MAX_BYTES``.
        """
        rule_id = self.find(key)
        if rule_id is None:
            return None
        found: dict[str, str] = {}
        with self._on_disk():
            for part, ending in PARTS.items():
                path = self._path / f"{rule_id}{ending}"
                if not path.is_file():
                    continue
                if path.stat().st_size > MAX_BYTES:
                    raise self._wrong(f"{path.name} is larger than {MAX_BYTES} bytes")
                found[part] = path.read_text("utf-8", "replace")
        return found

    def files(self, rule_id: str) -> tuple[str, ...]:
        """Names of every file that a rule may have, here or retired, relative to the folder."""
        names = [f"{rule_id}{ending}" for ending in (*PARTS.values(), HASHES)]
        return (*names, *(f"{RETIRED}/{name}" for name in names))

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
        ours = {f"{rule_id}{ending}" for ending in PARTS.values()}
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

    def _check_untouched(self, rule_id: str, contents: Mapping[str, bytes]) -> None:
        """Nothing, where every file is as we wrote it or already as we would write it.

        Raises:
            TerminalError: One is neither: somebody changed it.
        """
        record = self._path / f"{rule_id}{HASHES}"
        lines = record.read_text("utf-8", "replace").splitlines() if record.is_file() else []
        written = {m[2]: m[1] for line in lines if (m := _HASH_LINE.fullmatch(line))}
        for part, ending in PARTS.items():
            path = self._path / f"{rule_id}{ending}"
            if not path.is_file():
                continue
            held = path.read_bytes()
            ours = hashlib.sha256(held).hexdigest() == written.get(path.name)
            if not ours and held != contents.get(part):
                raise TerminalError(
                    f"{path.name} was changed by hand and is not written over",
                    connector=self._name,
                    hint="huntonce detections drift shows it; then adopt or restore it",
                )

    def _contents(self, rule_id: str, detection: Mapping[str, object]) -> dict[str, bytes]:
        rule, filters = detection.get("rule"), detection.get("filters", ())
        if not isinstance(rule, str) or not rule.strip():
            raise self._wrong(f"{rule_id}: a detection needs its rule as YAML text")
        if not isinstance(filters, Sequence) or isinstance(filters, str):
            raise self._wrong(f"{rule_id}: filters are a list of YAML texts")
        contents = {"rule": _text(rule)}
        if filters:
            contents["filters"] = b"---\n".join(_text(str(item)) for item in filters)
        for part in ("certificate", "fixtures", "hunt"):
            value = detection.get(part)
            if part != "certificate" and not value:
                continue
            try:
                text = json.dumps(
                    value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False
                )
            except (TypeError, ValueError) as error:
                raise self._wrong(f"{rule_id}: the {part} is not JSON-able: {error}") from error
            contents[part] = _text(text)
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
