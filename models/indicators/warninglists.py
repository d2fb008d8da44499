"""Values that are everywhere: an indicator on one of them alone finds benign events only.

The lists are data in content/warninglists, each with its reason; a user's folders may add more.
"""

import ipaddress
import json
import ntpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from urllib.parse import urlsplit

from huntonce.models.errors import ConfigError
from huntonce.models.indicators.patterns import Comparison, Group, Op, join

_KINDS = frozenset({"file-name", "domain", "domain-suffix", "network", "hash", "command"})
_KINDS |= {"directory", "path", "registry-key"}
_NAMES = frozenset({"file:name", "process:name", "process:image_ref.name"})
_NAMES |= {"process:parent_ref.name", "process:parent_ref.image_ref.name"}
_DOMAINS = frozenset({"domain-name:value", "network-traffic:dst_ref.value"})
_ADDRESSES = frozenset(
    {"ipv4-addr:value", "ipv6-addr:value", "domain-name:resolves_to_refs[*].value"}
)
_ADDRESSES |= {"network-traffic:dst_ref.value", "network-traffic:src_ref.value"}
_SHORTEST = 4
_NARROWEST = {4: 8, 6: 16}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True)
class Warninglists:
    """The lists, by kind.

    Attributes:
        exact: Kind to value (as ``_normal`` gives it) to reason.
        networks: Address ranges with their reasons.
    """

    exact: Mapping[str, Mapping[str, str]]
    networks: tuple[tuple[Network, str], ...] = field(default=())

    def reason(self, comparison: Comparison) -> str:
        """Why a comparison alone would find benign events only; "" where it would not."""
        path, value = comparison.path, comparison.value.strip()
        if comparison.op is Op.LIKE:
            value = value.strip("%")
            if len(value.replace("%", "").replace("_", "")) < _SHORTEST:
                return f"{comparison.value}: fits almost anything"
        if found := self._listed("path", path):
            return found
        if path in _NAMES:
            return self._listed("file-name", ntpath.basename(value.replace("/", "\\")))
        if path.partition(".")[0] in {"file:hashes", "process:image_ref"} and "hashes" in path:
            return self._listed("hash", value)
        return self._of_network(path, value) or self._of_host(path, value)

    def _of_network(self, path: str, value: str) -> str:
        if path in _ADDRESSES and (found := self._address(value)):
            return found
        if path in _DOMAINS:
            return self._domain(value)
        return self._url(value) if path == "url:value" else ""

    def _of_host(self, path: str, value: str) -> str:
        match path:
            case "process:command_line" | "process:parent_ref.command_line":
                bare = ntpath.basename(value.strip("\"'"))
                name = self._listed("file-name", bare) if " " not in bare else ""
                return name or self._listed("command", " ".join(value.split()))
            case "directory:path" | "file:parent_directory_ref.path":
                return self._listed("directory", value.rstrip("\\/"))
            case "windows-registry-key:key":
                return self._listed("registry-key", registry_root(value))
            case _:
                return ""

    def _listed(self, kind: str, value: str) -> str:
        reason = self.exact.get(kind, {}).get(value.casefold(), "")
        return f"{value}: {reason}" if reason else ""

    def _address(self, value: str) -> str:
        try:
            wanted = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return ""
        if wanted.prefixlen < _NARROWEST[wanted.version]:
            return f"{value}: covers a large part of the internet"
        for network, reason in self.networks:
            if wanted.version == network.version and wanted.subnet_of(network):  # type: ignore[arg-type]
                return f"{value}: {reason}"
        return ""

    def _domain(self, value: str) -> str:
        name = value.casefold().rstrip(".").removeprefix("www.")
        if found := self._listed("domain", name):
            return found
        labels = name.split(".")
        tails = (".".join(labels[start:]) for start in range(len(labels)))
        reasons = (self.exact.get("domain-suffix", {}).get(tail, "") for tail in tails)
        return next((f"{value}: {reason}" for reason in reasons if reason), "")

    def _url(self, value: str) -> str:
        try:
            parts = urlsplit(value if "://" in value else f"//{value}")
            host = parts.hostname or ""
        except ValueError:
            return ""
        private = self._address(host)
        if private or parts.path.strip("/") or parts.query:
            return private
        return self._domain(host)


def spared(
    tree: Comparison | Group[Comparison], lists: Warninglists
) -> tuple[Comparison | Group[Comparison] | None, tuple[str, ...]]:
    """What is left of a pattern without its worthless alternatives, and why those went.

    A listed value beside one that is not (a name and a hash) stays: together they tell something.
    None where nothing is left.
    """
    if isinstance(tree, Comparison):
        reason = "" if tree.negated else lists.reason(tree)
        return (None, (reason,)) if reason else (tree, ())
    answers = [spared(part, lists) for part in tree.parts]
    reasons = tuple(dict.fromkeys(reason for _, found in answers for reason in found))
    if tree.every:
        # A negated part narrows, it is nothing to find.
        telling = any(
            left is not None and not (isinstance(part, Comparison) and part.negated)
            for part, (left, _) in zip(tree.parts, answers, strict=True)
        )
        return (tree, ()) if telling else (None, reasons)
    kept = tuple(left for left, _ in answers if left is not None)
    return (join(kept, every=False) if kept else None), reasons


def registry_root(key: str) -> str:
    r"""A registry key with the short name of its root: HKLM\..., HKCU\..."""
    root, slash, rest = key.strip().rstrip("\\").partition("\\")
    return f"{_ROOTS.get(root.upper(), root.upper())}{slash}{rest}"


_ROOTS = {
    "HKEY_LOCAL_MACHINE": "HKLM",
    "HKEY_CURRENT_USER": "HKCU",
    "HKEY_CLASSES_ROOT": "HKCR",
    "HKEY_USERS": "HKU",
    "HKEY_CURRENT_CONFIG": "HKCC",
}


def load_warninglists(folders: Iterable[Path] = ()) -> Warninglists:
    """The shipped lists and those in ``warninglists/*.json`` of the user's folders.

    Raises:
        ConfigError: A file is not a list; says which and why.
    """
    return _combined(_shipped(), folders) if (folders := tuple(folders)) else _shipped()


@cache
def _shipped() -> Warninglists:
    return _built(_read(files("huntonce.content") / "warninglists"))


def _combined(shipped: Warninglists, folders: Iterable[Path]) -> Warninglists:
    more = _built([document for folder in folders for document in _read(folder / "warninglists")])
    return Warninglists(
        exact={
            kind: {**shipped.exact.get(kind, {}), **more.exact.get(kind, {})} for kind in _KINDS
        },
        networks=(*shipped.networks, *more.networks),
    )


def _read(folder: Traversable) -> list[Mapping[str, object]]:
    if not folder.is_dir():
        return []
    found = []
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if not item.name.endswith(".json"):
            continue
        try:
            found.append(_checked(json.loads(item.read_bytes())))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(
                f"{item}: no warning list: {error}", hint="keys: name, kind, reason, values"
            ) from error
    return found


def _checked(document: Mapping[str, object]) -> Mapping[str, object]:
    if document["kind"] not in _KINDS or not document["reason"]:
        raise ValueError(f"kind must be one of {', '.join(sorted(_KINDS))}, with a reason")
    values = document["values"]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("values must be a list of texts")
    return document


def _built(documents: Iterable[Mapping[str, object]]) -> Warninglists:
    exact: dict[str, dict[str, str]] = {}
    networks: list[tuple[Network, str]] = []
    for document in documents:
        kind, reason, values = document["kind"], str(document["reason"]), document["values"]
        for value in values if isinstance(values, list) else ():
            if kind == "network":
                try:
                    networks.append((ipaddress.ip_network(value), reason))
                except ValueError as error:
                    raise ConfigError(f"warning list {document.get('name')}: {error}") from error
            else:
                exact.setdefault(str(kind), {})[value.casefold()] = reason
    return Warninglists(exact=exact, networks=tuple(networks))
