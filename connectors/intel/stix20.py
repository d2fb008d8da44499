"""STIX 2.0 objects as STIX 2.1, on the way in.

Ids and timestamps stay, what 2.1 renamed is renamed, and the observables that 2.0 keeps inside an
observed-data become objects of their own with the deterministic ids of 2.1 (section 2.9), marked
as their observed-data was. From the OASIS specifications of both versions; a test compares with
the ``stix2`` library.
"""

import json
import re
import uuid
from collections.abc import Mapping

from huntonce.connectors.intel.stix_types import SHAPES, Family

Stix = dict[str, object]

NAMESPACE = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""Of the ids of observables (STIX 2.1, section 2.9)."""
GONE = "x_stix20_"
"""Prefix of the properties that 2.1 no longer has."""
_FROM_LABELS = {
    "indicator": "indicator_types",
    "malware": "malware_types",
    "report": "report_types",
    "threat-actor": "threat_actor_types",
    "tool": "tool_types",
    "identity": "roles",
}
_TIMES = {"created": "ctime", "modified": "mtime", "accessed": "atime"}
_RENAMED: dict[str, dict[str, str]] = {
    "directory": _TIMES,
    "file": {
        **_TIMES,
        **{
            name: GONE + name for name in ("is_encrypted", "encryption_algorithm", "decryption_key")
        },
    },
    "process": {
        "created": "created_time",
        "binary_ref": "image_ref",
        "name": f"{GONE}name",
        "arguments": f"{GONE}arguments",
    },
    "network-traffic": {"encapsulates_by_ref": "encapsulated_by_ref"},
    "user-account": {"password_last_changed": "credential_last_changed"},
    "windows-registry-key": {"modified": "modified_time"},
}
_IN_PATTERN = {
    f"{kind}:{old}": f"{kind}:{new}"
    for kind, names in _RENAMED.items()
    for old, new in names.items()
    if not new.startswith(GONE)
}
_PATH = re.compile(r"\b[a-z0-9-]+:[a-z_]+\b")
_SPAN = re.compile(r"\b(START|STOP)(\s*)$")
_QUOTED = re.compile(r"('(?:[^'\\]|\\.)*')")
_CONTRIBUTING: dict[str, tuple[str, ...]] = {
    "artifact": ("hashes", "payload_bin"),
    "autonomous-system": ("number",),
    "directory": ("path",),
    "email-message": ("from_ref", "subject", "body"),
    "file": ("hashes", "name", "parent_directory_ref", "extensions"),
    "mutex": ("name",),
    "network-traffic": (
        "start",
        "end",
        "src_ref",
        "dst_ref",
        "src_port",
        "dst_port",
        "protocols",
        "extensions",
    ),
    "software": ("name", "cpe", "swid", "vendor", "version"),
    "user-account": ("account_type", "user_id", "account_login"),
    "windows-registry-key": ("key", "values"),
    "x509-certificate": ("hashes", "serial_number"),
    **dict.fromkeys(
        ("domain-name", "email-addr", "ipv4-addr", "ipv6-addr", "mac-addr", "url"), ("value",)
    ),
}
_HASH_ORDER = ("MD5", "SHA-1", "SHA-256", "SHA-512")


def is_stix20(content: object) -> bool:
    """Whether an object is STIX 2.0: it has no ``spec_version``, and 2.1 would demand one."""
    if not isinstance(content, dict) or "spec_version" in content:
        return False
    kind = content.get("type")
    if not isinstance(kind, str) or kind == "bundle":
        return False
    shape = SHAPES.get(kind)
    if shape is None:
        return "created" in content and "modified" in content
    return shape.family is not Family.OBSERVABLE


def upgrade(content: Mapping[str, object]) -> list[Stix]:
    """An object in its 2.1 form; before an observed-data the observables that it held."""
    new: Stix = {"type": content.get("type"), "spec_version": "2.1", **content}
    kind, labels = str(content.get("type")), content.get("labels")
    types = _FROM_LABELS.get(kind)
    if types and isinstance(labels, list) and labels:
        new.setdefault(types, labels)
    if kind == "malware":
        # 2.0 does not tell families from samples; what has a name is written of as a family.
        new.setdefault("is_family", True)
    if kind == "indicator":
        new.setdefault("pattern_type", "stix")
        if isinstance(content.get("pattern"), str) and new["pattern_type"] == "stix":
            new["pattern"] = _pattern(str(content["pattern"]))
    if kind == "observed-data" and isinstance(content.get("objects"), dict):
        return _observed(new)
    return [new]


def _pattern(pattern: str) -> str:
    """A pattern with what 2.1 renamed, texts in quotes untouched."""
    parts = _QUOTED.split(pattern)
    for index in range(0, len(parts), 2):
        part = _PATH.sub(lambda found: _IN_PATTERN.get(found[0], found[0]), parts[index])
        following = index + 1 < len(parts)
        parts[index] = _SPAN.sub(r"\1\2t", part) if following else part
    return "".join(parts)


def _observed(new: Stix) -> list[Stix]:
    held = new.pop("objects")
    scos = _Observables(held if isinstance(held, dict) else {}, new).all()
    if scos:
        new["object_refs"] = [str(sco["id"]) for sco in scos]
    unique = {str(sco["id"]): sco for sco in scos}
    return [*unique.values(), new]


class _Observables:
    """The observables of one observed-data."""

    def __init__(self, held: Mapping[str, object], parent: Mapping[str, object]) -> None:
        self.held = {key: sco for key, sco in held.items() if isinstance(sco, dict)}
        self.parent = parent
        self.done: dict[str, Stix] = {}
        self.ids: dict[str, str] = {}

    def all(self) -> list[Stix]:
        """All of them in their order, each with its id."""
        order = self._order()
        for key in order:
            self.ids[key] = self._id(key)
        return [self._object(key) for key in self.held]

    def _order(self) -> list[str]:
        """Keys so that what contributes to another's id comes before it, where that can be."""
        order: dict[str, None] = {}
        for first in self.held:
            waiting, path = [first], set[str]()
            while waiting:
                key = waiting[-1]
                path.add(key)
                needs = [
                    ref
                    for name in _CONTRIBUTING.get(str(self.held[key].get("type")), ())
                    if name.endswith("_ref")
                    and isinstance(ref := self.held[key].get(name), str)
                    and ref in self.held
                    and ref not in path
                    and ref not in order
                ]
                if needs:
                    waiting.extend(needs)
                else:
                    order[waiting.pop()] = None
        return list(order)

    def _id(self, key: str) -> str:
        sco = self._renamed(key)
        kind = str(sco.get("type"))
        names = _CONTRIBUTING.get(kind, ())
        parts = {name: sco[name] for name in names if name in sco}
        if isinstance(parts.get("hashes"), dict):
            parts["hashes"] = _one_hash(parts["hashes"])
        # What has nothing that contributes (a process) is known by all of its content.
        whole = parts or {name: value for name, value in sco.items() if not name.endswith("_refs")}
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"{kind}--{uuid.uuid5(NAMESPACE, text.encode('utf-8', 'replace').decode())}"

    def _renamed(self, key: str) -> Stix:
        sco = self.held[key]
        names = _RENAMED.get(str(sco.get("type")), {})
        return {
            names.get(str(name), str(name)): self._linked(str(name), value)
            for name, value in sco.items()
        }

    def _object(self, key: str) -> Stix:
        sco = self._renamed(key)
        headers = sco.get("additional_header_fields")
        if isinstance(headers, dict):
            sco["additional_header_fields"] = {
                name: value if isinstance(value, list) else [value]
                for name, value in headers.items()
            }
        marks = {
            name: self.parent[name] for name in ("object_marking_refs",) if name in self.parent
        }
        return {
            "type": sco.pop("type", None),
            "spec_version": "2.1",
            "id": self.ids[key],
            **sco,
            **marks,
        }

    def _linked(self, name: str, value: object) -> object:
        """A value with the keys of other observables replaced by their ids."""
        if isinstance(value, str):
            return self.ids.get(value, value) if name.endswith(("_ref", "_refs")) else value
        if isinstance(value, list):
            return [self._linked(name, one) for one in value]
        if isinstance(value, dict):
            return {below: self._linked(str(below), one) for below, one in value.items()}
        return value


def _one_hash(hashes: object) -> object:
    """Only one hash counts for the id, MD5 first (STIX 2.1, section 2.9)."""
    if not isinstance(hashes, dict):
        return hashes
    name = next((one for one in _HASH_ORDER if one in hashes), next(iter(hashes), None))
    return hashes if name is None else {name: hashes[name]}
