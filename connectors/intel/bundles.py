"""STIX 2.1 bundles in files, folders and gzip files.

Every object keeps its own bytes as written. What cannot be taken is set aside with its place, and
the rest loads: a bad object costs itself, a file that breaks off costs what came after the break.
"""

import gzip
import logging
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from huntonce.connectors.intel.batch import Intake, IntelBatch, refusal
from huntonce.connectors.intel.scan import Document, scan
from huntonce.models.errors import ConfigError
from huntonce.models.setaside import SetAside
from huntonce.models.tlp import Tlp

MAX_BYTES = 512 * 1024 * 1024
_SUFFIXES = (".json", ".json.gz", ".stix", ".stix2")
_GZIP = b"\x1f\x8b"
_BUNDLE_HINT = 'a STIX 2.1 bundle is {"type": "bundle", "id": "bundle--...", "objects": [...]}'
_LOG = logging.getLogger(__name__)


class BundleFiles:
    """A source of intel over files and folders.

    A folder is read recursively for ``*.json``, ``*.json.gz``, ``*.stix`` and ``*.stix2``, in the
    order of the names; a file is read whatever it is called. Besides bundles, TAXII envelopes
    (``{"objects": [...]}``) are taken.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        *,
        default_tlp: Tlp,
        name: str = "file",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """See the class.

        Args:
            paths: Files and folders.
            default_tlp: What unmarked objects count as.
            name: Registered name of the feed.
            max_bytes: Largest file, after decompression.

        Raises:
            ConfigError: A path does not exist.
        """
        self.paths = tuple(Path(path) for path in paths)
        self.default_tlp = default_tlp
        self.name = name
        self.max_bytes = max_bytes
        for path in self.paths:
            if not path.exists():
                raise ConfigError(f"no such file or folder: {path}", hint="check the path")

    def pull(self, cursor: str | None = None) -> Iterator[IntelBatch]:
        """One batch a file, without a cursor: the store knows what it already holds."""
        del cursor
        intake = Intake(self.name, self.default_tlp)
        for path in self._files():
            batch = self._read(path, intake)
            _LOG.info(
                "%s: %d objects, %d set aside", path, len(batch.objects), len(batch.set_aside)
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

    def _read(self, path: Path, intake: Intake) -> IntelBatch:
        try:
            data = read_bounded(path, self.max_bytes)
        except (OSError, EOFError, zlib.error, ValueError) as error:
            reason = f"cannot be read: {error}"
            return IntelBatch(set_aside=(refusal(str(path), "file", reason),))
        document = scan(data)
        fault = _document_fault(document)
        if fault is not None and not document.objects:
            reason, hint = fault
            return IntelBatch(set_aside=(refusal(str(path), "file", reason, data, hint),))
        if _is_stix20(document):
            return IntelBatch(set_aside=(_stix20(path, document),))
        objects, refused = intake.take(document.objects, source=str(path))
        if fault is not None:
            place = f"after object {len(document.objects)}"
            refused += (refusal(str(path), place, fault[0], hint=fault[1]),)
        return IntelBatch(objects=objects, set_aside=refused)


def read_bounded(path: Path, limit: int) -> bytes:
    """A file's bytes, decompressed if it is gzip.

    Raises:
        OSError, EOFError, zlib.error: It cannot be read.
        ValueError: It is larger than ``limit`` bytes, before or after decompression.
    """
    with path.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                data = unpacked.read(limit + 1)
        else:
            data = raw.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"larger than {limit} bytes")
    return data


def _document_fault(document: Document) -> tuple[str, str] | None:
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


def _is_stix20(document: Document) -> bool:
    return document.fields.get("spec_version") == "2.0"


def _stix20(path: Path, document: Document) -> SetAside:
    return refusal(
        str(path),
        "file",
        f"a STIX 2.0 bundle of {len(document.objects)} objects",
        hint="convert it to STIX 2.1 first, for instance with the OASIS stix2-elevator",
    )
