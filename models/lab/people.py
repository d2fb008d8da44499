"""Who works there: people, administrators, service accounts and a supplier, with their SIDs."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

INITIALS = "abcdefghijklmnoprstuvwyz"
LAST = (
    "albers", "brandt", "czerny", "dvorak", "ebert", "fischer", "gerlach", "hofmann", "ihde",
    "jansen", "keller", "lorenz", "maurer", "novak", "otto", "peters", "quandt", "richter",
    "schmitt", "thiel", "urban", "vogel", "weiss", "zeman", "ahrens", "beck", "conrad",
    "dietrich", "engel", "franke", "grau", "hartung", "jung", "kuhn", "lange", "moeller",
    "neumann", "ostrov", "pohl", "reuter", "sommer", "theis", "ulbrich", "vesely", "winter",
    "adler", "busch", "decker",
)  # fmt: skip
ADMINS = ("richter", "novak", "hofmann", "lange", "zeman")
SERVICES = ("svc-swdeploy", "svc-backup", "svc-monitor")
SUPPLIER = "ext-hellwig"
"""A supplier's account for remote maintenance of one application; no administrator."""


@dataclass(frozen=True, slots=True)
class Account:
    r"""A security principal; ``full`` is ``DOMAIN\name``."""

    domain: str
    name: str
    sid: str

    @property
    def full(self) -> str:
        r"""``DOMAIN\name``."""
        return f"{self.domain}\\{self.name}"

    @property
    def is_admin(self) -> bool:
        """Personal administration accounts and the services that act like one."""
        return self.name.startswith(("adm-", "svc-"))


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody: those with a desk in order of their desks, and all accounts by name."""

    desks: tuple[Account, ...]
    accounts: Mapping[str, Account]


def people(rng: Random, domain: str, domain_sid: str, desks: int) -> Staff:
    """As many people as desks, and the accounts that go with a Windows domain."""
    names: list[str] = []
    taken: set[str] = set()
    for number in range(desks):
        name = f"{rng.choice(INITIALS)}.{rng.choice(LAST)}"
        if name in taken:
            name = f"{name}{number % 97 + 2}"
        if name in taken:
            name = f"{name}-{number}"
        taken.add(name)
        names.append(name)
    others = [*(f"adm-{name}" for name in ADMINS), *SERVICES, SUPPLIER]
    accounts = {
        name: Account(domain, name, f"{domain_sid}-{1100 + 3 * number}")
        for number, name in enumerate([*others, *names])
    }
    accounts["Administrator"] = Account(domain, "Administrator", f"{domain_sid}-500")
    return Staff(tuple(accounts[name] for name in names), accounts)
