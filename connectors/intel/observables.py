"""What a case saw, as STIX 2.1 cyber-observable objects with deterministic ids.

Hosts have no object of their own in STIX; internal addresses cannot be an address object under a
pseudonym; both stay out. A scheduled task is written as the registry key that Windows keeps it
under.
"""

import ipaddress
import ntpath
import re
from collections.abc import Callable, Iterable

import stix2

from huntonce.connectors.intel.pen import sendable
from huntonce.models.feedback import Mask
from huntonce.models.finding import Observable
from huntonce.models.ids import stix_id

_TASK_KEY = (
    r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tree"
)
_HASHES = {32: "MD5", 40: "SHA-1", 64: "SHA-256", 128: "SHA-512"}
_HEX = re.compile(r"[0-9a-fA-F]+")
DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}\Z")
"""A domain name, in lower case."""
URL = re.compile(
    r"https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?"
    r"(?:/(?:[A-Za-z0-9._~:/?@!$&()*+,;=-]|%[0-9A-Fa-f]{2}){0,2000})?\Z"
)
"""An address on the web as RFC 3986 has it, without quotes and fragments."""
Sco = dict[str, object]


def observable_objects(observables: Iterable[Observable], mask: Mask) -> list[Sco]:
    """The objects, each once, in the order given, without markings."""
    found: dict[str, Sco] = {}
    for one in observables:
        for sco in _objects(one, mask):
            found.setdefault(str(sco["id"]), sco)
    return list(found.values())


def _objects(one: Observable, mask: Mask) -> list[Sco]:
    write = _WRITERS.get(one.type)
    value = sendable(one.value).strip()
    return write(value, mask) if write and value else []


def _user(account: str, mask: Mask) -> list[Sco]:
    return [_plain(stix2.UserAccount(account_login=mask.user(account)))]


def _task(name: str, mask: Mask) -> list[Sco]:
    path = mask.text(name.replace("/", "\\").strip("\\"))
    return [_plain(stix2.WindowsRegistryKey(key=f"{_TASK_KEY}\\{path}"))]


def _command(line: str, mask: Mask) -> list[Sco]:
    text = mask.text(line)
    # Process has no id-contributing properties: a random id would double it each time.
    return [_plain(stix2.Process(id=stix_id("process", text), command_line=text))]


def _hash(value: str, _: Mask) -> list[Sco]:
    hashes = hashes_of(value)
    return [_plain(stix2.File(hashes=hashes))] if hashes else []


def _file(path: str, mask: Mask) -> list[Sco]:
    folder, name = ntpath.split(mask.text(path))
    if not name:
        return []
    if not folder:
        return [_plain(stix2.File(name=name))]
    directory = stix2.Directory(path=folder)
    return [_plain(directory), _plain(stix2.File(name=name, parent_directory_ref=directory.id))]


def hashes_of(value: str) -> dict[str, str]:
    """Hashes of a bare value or of Sysmon's "SHA256=...,MD5=..."."""
    found = {}
    for part in value.split(","):
        text = part.rpartition("=")[2].strip()
        if _HEX.fullmatch(text) and len(text) in _HASHES:
            found[_HASHES[len(text)]] = text.lower()
    return found


def _domain(value: str, mask: Mask) -> list[Sco]:
    text = value.rstrip(".").lower()
    sound = DOMAIN.match(text) and not mask.leaks.find(text)
    return [_plain(stix2.DomainName(value=text))] if sound else []


def _url(value: str, mask: Mask) -> list[Sco]:
    sound = URL.match(value) and not mask.leaks.find(value)
    return [_plain(stix2.URL(value=value))] if sound else []


def _address(value: str, mask: Mask) -> list[Sco]:
    try:
        ip = ipaddress.ip_address(value)
    except ValueError:
        return []
    if mask.leaks.is_internal(value) or ip.is_loopback or ip.is_link_local or ip.is_unspecified:
        return []
    kind = stix2.IPv4Address if ip.version == 4 else stix2.IPv6Address  # noqa: PLR2004
    return [_plain(kind(value=str(ip)))]


def _plain(sco: object) -> Sco:
    # The standard's own defaults say nothing.
    return {str(k): v for k, v in dict(sco).items() if v is not False}  # type: ignore[call-overload]


_WRITERS: dict[str, Callable[[str, Mask], list[Sco]]] = {
    "user": _user,
    "task": _task,
    "command": _command,
    "file": _file,
    "hash": _hash,
    "ip": _address,
    "domain": _domain,
    "url": _url,
}
