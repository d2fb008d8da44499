"""STIX 2.1 and 2.0 bundles in files, folders and gzip files.

Every object keeps its own bytes as written. What cannot be taken is set aside with its place, and
the rest loads: a bad object costs itself, a file that breaks off costs what came after the break.
"""

import gzip
import hashlib
import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

from huntonce.connectors.intel.batch import Intake, IntelBatch, refusal
from huntonce.connectors.intel.scan import Document, scan
from huntonce.models.errors import ConfigError
from huntonce.models.intake import NOTHING
from huntonce.models.tlp import MARKINGS, Levels, Tlp

MAX_BYTES = 512 * 1024 * 1024
_SUFFIXES = (".json", ".json.gz", ".stix", ".stix2")
_GZIP = b"\x1f\x8b"
_RULES = b"1\n"
"""Version of the rules of intake: a file is read again when they have changed."""
_BUNDLE_HINT = 'a STIX 2.1 bundle is {"type": "bundle", "id": "bundle--...", "objects": [...]}'
_LOG = logging.getLogger(__name__)


class BundleFiles:
    """A source of intel over files and folders.

    A folder is read recursively for ``*.json``, ``*.json.gz``, ``*.stix`` and ``*.stix2``, in the
    order of the names; a file is read whatever it is called. Besides bundles, TAXII envelopes
    (``{"objects": [...]}``) are taken.
    """

    selection = ""

    def __init__(
        self,
        paths: Sequence[Path | str],
        *,
        default_tlp: Tlp,
        name: str = "file",
        max_bytes: int = MAX_BYTES,
        markings: Levels = MARKINGS,
    ) -> None:
        """See the class.

        Args:
            paths: Files and folders.
            default_tlp: What unmarked objects count as.
            name: Registered name of the feed.
            max_bytes: Largest file, after decompression.
            markings: TLP markings that are known already, by id.

        Raises:
            ConfigError: A path does not exist.
        """
        self.paths = tuple(Path(path) for path in paths)
        self.default_tlp = default_tlp
        self.name = name
        self.max_bytes = max_bytes
        self.markings = dict(markings)
        for path in self.paths:
            if not path.exists():
                raise ConfigError(f"no such file or folder: {path}", hint="check the path")

    def pull(
        self, cursor: str | None = None, *, whole: Mapping[str, int] = NOTHING
    ) -> Iterator[IntelBatch]:
        """One batch a file, without a cursor: the store knows what it already holds."""
        del cursor
        intake = Intake(self.name, self.default_tlp, dict(self.markings))
        for path in self._files():
            batch = self._read(path, intake, whole)
            _LOG.info(
                "%s: %d objects, %d set aside, %d known",
                path,
                len(batch.objects),
                len(batch.set_aside),
                batch.unread,
            )
            yield batch

    def _files(self) -> Iterator[Path]:
        for path in self.paths:
            if not path.is_dir():
                yield path
                continue
            for below in sorted(path.rglob("*")):
                if below.is_file() and below.name.lower().endswith(_SUFFIXES):
                    yield below

    def _read(self, path: Path, intake: Intake, whole: Mapping[str, int]) -> IntelBatch:
        try:
            raw = read_raw(path, self.max_bytes)
            digest = hashlib.sha256(_RULES + raw).hexdigest()
            if digest in whole:
                return IntelBatch(unread=whole[digest])
            data = unpacked(raw, self.max_bytes)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            reason = f"cannot be read: {error}"
            return IntelBatch(set_aside=(refusal(str(path), "file", reason),))
        document = scan(data)
        fault = document_fault(document)
        if fault is not None and not document.objects:
            reason, hint = fault
            return IntelBatch(set_aside=(refusal(str(path), "file", reason, data, hint),))
        objects, refused = intake.take(document.objects, source=str(path))
        if fault is not None:
            place = f"after object {len(document.objects)}"
            refused += (refusal(str(path), place, fault[0], hint=fault[1]),)
        return IntelBatch(objects=objects, set_aside=refused, digest=digest)


def read_bounded(path: Path, limit: int) -> bytes:
    """A file's bytes, decompressed if it is gzip; errors as for ``read_raw`` and ``unpacked``."""
    return unpacked(read_raw(path, limit), limit)


def read_raw(path: Path, limit: int) -> bytes:
    """A file's bytes.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger than ``limit`` bytes.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"larger than {limit} bytes")
    return data


def unpacked(data: bytes, limit: int) -> bytes:
    """The bytes themselves, decompressed where they are gzip.

    Raises:
        OSError, EOFError, zlib.error: They are damaged.
        ValueError: They are more than ``limit`` bytes after decompression.
    """
    if not data.startswith(_GZIP):
        return data
    with gzip.GzipFile(fileobj=BytesIO(data)) as file:
        plain = file.read(limit + 1)
    if len(plain) > limit:
        raise ValueError(f"larger than {limit} bytes")
    return plain


def document_fault(document: Document) -> tuple[str, str] | None:
    """Reason and hint, or None where the document is a bundle or an envelope."""
    kind = document.fields.get("type")
    if document.fault and not document.has_objects and not document.fields:
        return document.fault, "the file is not JSON"
    if document.fault:
        return document.fault, "the file breaks off or is damaged; fetch it again"
    if kind == "bundle" or (kind is None and document.has_objects):
        return None
    if kind is None:
        return "not a STIX bundle", _BUNDLE_HINT
    return f"a single {str(kind)[:80]}, not a bundle", _BUNDLE_HINT
