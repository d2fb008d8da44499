r"""Accounts as Windows logs write them: DOMAIN\name, bare names, SIDs, well-known principals."""

_SYSTEM_NAMES = frozenset(
    {
        "system",
        "localsystem",
        "local system",
        "nt authority\\system",
        "nt-autorität\\system",
        "autorite nt\\système",
        "s-1-5-18",
        "local service",
        "localservice",
        "nt authority\\local service",
        "s-1-5-19",
        "network service",
        "networkservice",
        "nt authority\\network service",
        "s-1-5-20",
    }
)
_LOCAL_SYSTEM = frozenset(
    {
        "system",
        "localsystem",
        "local system",
        "nt authority\\system",
        "nt-autorität\\system",
        "autorite nt\\système",
        "s-1-5-18",
    }
)


def is_local_system(account: str) -> bool:
    """The LocalSystem account, by name or SID."""
    return account.strip().casefold() in _LOCAL_SYSTEM


def is_builtin(account: str) -> bool:
    """LocalSystem, LocalService, NetworkService, a service SID or a computer account."""
    name = account.strip().casefold()
    return (
        name in _SYSTEM_NAMES
        or name.endswith("$")
        or name.startswith(("nt service\\", "s-1-5-80-", "window manager\\", "s-1-5-90-"))
    )


def is_person(account: str, sid: str = "") -> bool:
    """An account that is neither built in nor a computer; False for an empty one."""
    if not account.strip() or account.strip() == "-":
        return False
    if sid and not sid.upper().startswith(("S-1-5-21-", "S-1-12-1-")):
        return False
    return not is_builtin(account)


def bare(account: str) -> str:
    r"""The name without its domain, lower case: ``CORP\Ann``, ``ann@corp.example`` -> ``ann``."""
    return account.strip().rsplit("\\", 1)[-1].split("@", 1)[0].casefold()


def same_account(left: str, right: str) -> bool:
    """Whether two spellings can be one account; built-in principals match by meaning."""
    if is_local_system(left) and is_local_system(right):
        return True
    return bare(left) == bare(right)


def joined(domain: str, name: str) -> str:
    r"""``DOMAIN\name`` as it is shown, or what there is of it."""
    clean = domain.strip()
    return f"{clean}\\{name.strip()}" if clean and clean != "-" else name.strip()
