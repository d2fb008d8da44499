"""ATT&CK as it is kept: the facts of a STIX bundle, trimmed to what the loop needs.

The source is MITRE's Enterprise bundle, version 18 or newer (detection strategies and analytics).
Names, ids and references are kept; descriptions are not. MITRE's licence asks that its copyright
designation and the licence travel with every copy, hence ``notice`` inside the document.
"""

import gzip
import json
import re
import secrets
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huntonce.models.errors import ConfigError

FORMAT = 1
NOTICE = (
    "\u00a9 2025 The MITRE Corporation. This work is reproduced and distributed with the "
    "permission of The MITRE Corporation."
)
LICENCE = (
    "The MITRE Corporation (MITRE) hereby grants you a non-exclusive, royalty-free license to use "
    "ATT&CK\u00ae for research, development, and commercial purposes. Any copy you make for such "
    "purposes is authorized provided that you reproduce MITRE's copyright designation and this "
    "license in any such copy."
)
_HINT = "Give MITRE's enterprise-attack.json, plain or gzipped, version 18 or newer."
Document = dict[str, Any]
_ID = re.compile(r"[A-Z]{1,4}[0-9]{4}(\.[0-9]{3})?")
_NAMED = {
    "intrusion-set": "groups",
    "campaign": "campaigns",
    "malware": "software",
    "tool": "software",
}


def trim(objects: Iterable[Mapping[str, Any]], version: str = "") -> Document:
    """The trimmed document of a bundle's objects.

    ``version`` ("18.1") is taken from the bundle's x-mitre-collection where it has one. Objects
    without an ATT&CK id, and references that lead nowhere, are left out; revoked and deprecated
    techniques stay, so that old intel can still be placed.

    Raises:
        ConfigError: The objects are no ATT&CK bundle.
    """
    try:
        document = _trimmed(objects, version)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"not an ATT&CK bundle: {error!r}", hint=_HINT) from error
    if not document["techniques"]:
        raise ConfigError("no ATT&CK technique in the bundle", hint=_HINT)
    return document


def _trimmed(objects: Iterable[Mapping[str, Any]], version: str) -> Document:
    by_id = {str(item["id"]): item for item in objects if isinstance(item.get("id"), str)}
    edges = [item for item in by_id.values() if item.get("type") == "relationship"]
    collection = next((i for i in by_id.values() if i.get("type") == "x-mitre-collection"), {})
    document: Document = {
        "format": FORMAT,
        "attack": str(collection.get("x_mitre_version") or version),
        "notice": NOTICE,
        "license": LICENCE,
        "tactics": _tactics(by_id),
        "techniques": _techniques(by_id, edges),
    }
    document.update(_named(by_id))
    document.update(_detections(by_id, edges))
    return document


def pack(document: Document) -> bytes:
    """The document as gzipped JSON; the same document always gives the same bytes."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}", re.ASCII)
_IN_NAME = re.compile(r"(?<![0-9.])v?([0-9]{1,3}\.[0-9]{1,3})(?![0-9])", re.ASCII)
_SUFFIX = ".json.gz"
_LARGEST = 512 * 1024 * 1024


def read_bundle(path: Path) -> list[Document]:
    """The objects of a STIX bundle in a file, plain or gzipped, 512 MiB at most.

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            opened = gzip.GzipFile(fileobj=raw) if packed else raw
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ConfigError(f"{path} is larger than {_LARGEST} bytes", hint=_HINT)
        bundle = json.loads(data)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}", hint=_HINT) from error
    objects = bundle.get("objects") if isinstance(bundle, dict) else None
    if not isinstance(objects, list):
        raise ConfigError(f"{path}: not a STIX bundle", hint=_HINT)
    return [item for item in objects if isinstance(item, dict)]


def version_in(name: str) -> str:
    """The version that a file's name says ("enterprise-attack-18.1.json" gives "18.1"), or ""."""
    found = _IN_NAME.search(name)
    return found[1] if found else ""


def version_key(version: str) -> tuple[int, ...]:
    """What orders versions: 9.0 before 18.1.

    Raises:
        ConfigError: It is no version of ATT&CK.
    """
    if not _VERSION.fullmatch(version):
        raise ConfigError(
            f"{version[:40]!r} is no version of ATT&CK", hint="say it with --version 18.1"
        )
    return tuple(int(part) for part in version.split("."))


def keep(document: Document, folder: Path) -> Path:
    """Write a trimmed document into a folder as ``<version>.json.gz``, whole or not at all.

    Catalogues of other versions stay.

    Raises:
        ConfigError: The document has no version, or the file cannot be written.
    """
    version_key(document["attack"])
    path = folder / f"{document['attack']}{_SUFFIX}"
    fresh = folder / f".{path.name}.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(pack(document))
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror}", hint="see that it may be written") from error
    return path


def kept(folder: Path) -> tuple[Path, ...]:
    """The catalogues that a folder holds, newest version first."""
    if not folder.is_dir():
        return ()
    found = [
        path
        for path in folder.glob(f"*{_SUFFIX}")
        if _VERSION.fullmatch(path.name.removesuffix(_SUFFIX))
    ]
    return tuple(
        sorted(found, key=lambda p: version_key(p.name.removesuffix(_SUFFIX)), reverse=True)
    )


def external_id(item: Mapping[str, Any]) -> str:
    """The ATT&CK id ("T1053.005", "G0016", "DET0441") of an object of a MITRE bundle, or ""."""
    for reference in item.get("external_references") or ():
        if reference.get("source_name") == "mitre-attack":
            found = str(reference.get("external_id", ""))
            return found if _ID.fullmatch(found) else ""
    return ""


def _of(by_id: Mapping[str, Mapping[str, Any]], *types: str) -> list[Mapping[str, Any]]:
    """Objects of the types that have an ATT&CK id, in the order of the ids."""
    found = [item for item in by_id.values() if item.get("type") in types and external_id(item)]
    return sorted(found, key=lambda item: (external_id(item), str(item["id"])))


def _tactics(by_id: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    tactics = {str(item["id"]): item for item in _of(by_id, "x-mitre-tactic")}
    matrix = next((i for i in by_id.values() if i.get("type") == "x-mitre-matrix"), {})
    order = [ref for ref in matrix.get("tactic_refs", ()) if ref in tactics]
    order += [ref for ref in tactics if ref not in order]
    return [
        [external_id(tactics[ref]), tactics[ref]["x_mitre_shortname"], tactics[ref]["name"]]
        for ref in order
    ]


def _state(item: Mapping[str, Any]) -> str:
    if item.get("revoked"):
        return "revoked"
    return "deprecated" if item.get("x_mitre_deprecated") else "active"


def _techniques(
    by_id: Mapping[str, Mapping[str, Any]], edges: Iterable[Mapping[str, Any]]
) -> list[Document]:
    replaced = {
        edge["source_ref"]: external_id(by_id.get(edge["target_ref"], {}))
        for edge in edges
        if edge.get("relationship_type") == "revoked-by"
    }
    return [
        {
            "id": external_id(item),
            "stix": item["id"],
            "name": item["name"],
            "tactics": [phase["phase_name"] for phase in item.get("kill_chain_phases", ())],
            "platforms": sorted(item.get("x_mitre_platforms", ())),
            "state": _state(item),
            "by": replaced.get(item["id"], ""),
        }
        for item in _of(by_id, "attack-pattern")
    ]


def _named(by_id: Mapping[str, Mapping[str, Any]]) -> dict[str, list[list[Any]]]:
    """Groups, campaigns and software as [STIX id, ATT&CK id, name, other names]."""
    found: dict[str, list[list[Any]]] = {"groups": [], "campaigns": [], "software": []}
    for item in _of(by_id, *_NAMED):
        if _state(item) == "active":
            aliases = item.get("aliases") or item.get("x_mitre_aliases") or ()
            others = [alias for alias in aliases if alias != item["name"]]
            found[_NAMED[item["type"]]].append(
                [item["id"], external_id(item), item["name"], others]
            )
    return found


def _detections(
    by_id: Mapping[str, Mapping[str, Any]], edges: Iterable[Mapping[str, Any]]
) -> Document:
    """Strategies, analytics and log sources, as rows.

    Strategies are [id, technique, analytic ids]; analytics [id, platforms, indexes into
    ``log_sources``, fields]; log sources [name, channel, data component id].
    """
    detects = {
        edge["source_ref"]: external_id(by_id.get(edge["target_ref"], {}))
        for edge in edges
        if edge.get("relationship_type") == "detects"
    }
    sources: dict[tuple[str, str, str], int] = {}
    analytics = []
    for item in _of(by_id, "x-mitre-analytic"):
        references = [
            sources.setdefault(_log_source(reference, by_id), len(sources))
            for reference in item.get("x_mitre_log_source_references", ())
        ]
        fields = [element["field"] for element in item.get("x_mitre_mutable_elements", ())]
        analytics.append(
            [external_id(item), list(item.get("x_mitre_platforms", ())), references, fields]
        )
    return {
        "components": [[external_id(i), i["name"]] for i in _of(by_id, "x-mitre-data-component")],
        "strategies": [
            [
                external_id(item),
                detects.get(item["id"], ""),
                [external_id(by_id.get(r, {})) for r in item.get("x_mitre_analytic_refs", ())],
            ]
            for item in _of(by_id, "x-mitre-detection-strategy")
        ],
        "analytics": analytics,
        "log_sources": [list(key) for key in sources],
    }


def _log_source(
    reference: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str, str]:
    component = by_id.get(str(reference.get("x_mitre_data_component_ref", "")), {})
    name, channel = str(reference.get("name", "")), str(reference.get("channel", ""))
    return (name, channel, external_id(component))
