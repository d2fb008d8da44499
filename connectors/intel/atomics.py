"""Single values of a case that are worth looking for elsewhere, as STIX patterns.

Hashes, external addresses, domain names and URLs are; names of hosts, accounts and files are not:
they are ours, or everybody's. What a warning list knows is worth nothing to anybody.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from huntonce.connectors.intel.observables import DOMAIN, URL, hashes_of
from huntonce.models.feedback import Mask
from huntonce.models.finding import Observable
from huntonce.models.indicators.patterns import Comparison, Op
from huntonce.models.indicators.warninglists import Warninglists

_PLACE_DAYS, _NAME_DAYS = 90, 180


@dataclass(frozen=True, slots=True)
class Atomic:
    """One pattern.

    Attributes:
        days: How long it is in force; 0: no end. Addresses change hands, hashes never do.
    """

    name: str
    pattern: str
    days: int = 0


def atomics(
    observables: Iterable[Observable], mask: Mask, lists: Warninglists
) -> tuple[Atomic, ...]:
    """The patterns, each once, in the order of the observables."""
    found: dict[str, Atomic] = {}
    for one in observables:
        write = _WRITERS.get(one.type)
        value = one.value.strip()
        if write is None or not value or mask.leaks.find(value):
            continue
        made = write(value, lists)
        if made is not None:
            found.setdefault(made.pattern, made)
    return tuple(found.values())


def _worth(path: str, value: str, lists: Warninglists) -> bool:
    return not lists.reason(Comparison(path=path, op=Op.EQUALS, value=value))


def _hash(value: str, lists: Warninglists) -> Atomic | None:
    known = {
        kind: text
        for kind, text in hashes_of(value).items()
        if _worth(f"file:hashes.{kind}", text, lists)
    }
    if not known:
        return None
    tests = [f"file:hashes.'{kind}' = '{known[kind]}'" for kind in sorted(known)]
    first = known[max(known, key=lambda kind: len(known[kind]))]
    return Atomic(f"File with hash {first}", f"[{' OR '.join(tests)}]")


def _address(value: str, lists: Warninglists) -> Atomic | None:
    try:
        ip = ipaddress.ip_address(value)
    except ValueError:
        return None
    path = f"ipv{ip.version}-addr:value"
    if not ip.is_global or not _worth(path, str(ip), lists):
        return None
    return Atomic(f"Address {ip}", f"[{path} = '{ip}']", _PLACE_DAYS)


def _domain(value: str, lists: Warninglists) -> Atomic | None:
    name = value.rstrip(".").lower()
    if not DOMAIN.match(name) or not _worth("domain-name:value", name, lists):
        return None
    return Atomic(f"Domain {name}", f"[domain-name:value = '{name}']", _NAME_DAYS)


def _url(value: str, lists: Warninglists) -> Atomic | None:
    if not URL.match(value) or not _worth("url:value", value, lists):
        return None
    return Atomic(f"URL {value}", f"[url:value = '{value}']", _PLACE_DAYS)


_WRITERS: Mapping[str, Callable[[str, Warninglists], Atomic | None]] = {
    "hash": _hash,
    "ip": _address,
    "domain": _domain,
    "url": _url,
}
