"""Words of asset lists: how columns are called, and which platform an operating system is of."""

import re
from collections.abc import Mapping, Sequence

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "host": (
        "host", "hostname", "hostnames", "computername", "computer", "computerhostname",
        "machinename", "machine", "devicename", "servername", "server", "systemname", "netbiosname",
        "netbios", "dnshostname", "dnsname", "fqdn", "fullyqualifieddomainname", "assetname",
        "endpoint", "endpointname", "workstation", "node", "name", "device", "rechnername",
        "rechner", "asset",
    ),
    "ip": (
        "ip", "ipaddress", "ipaddresses", "ipv4", "ipv4address", "primaryip", "ipadresse", "ips",
    ),
    "role": ("role", "hostrole", "serverrole", "function", "purpose", "devicetype", "assettype",
             "hosttype", "rolle"),
    "platform": (
        "platform", "os", "operatingsystem", "osname", "operatingsystemname", "osfamily", "ostype",
        "osplatform", "betriebssystem", "plattform",
    ),
    "owner": (
        "owner", "assetowner", "systemowner", "technicalowner", "ownedby", "team", "ownerteam",
        "owningteam", "supportgroup", "responsible", "managedby", "contact", "department",
        "businessunit", "abteilung", "zuständig",
    ),
    "joined": (
        "joined", "joinedon", "joindate", "inservice", "inservicesince", "inservicedate", "since",
        "commissioned", "commissiondate", "installed", "installdate", "deployed", "deploymentdate",
    ),
    "left": (
        "left", "leftdate", "lefton", "retired", "retireddate", "retirementdate", "decommissioned",
        "decommissiondate", "decommissioneddate", "outofservice", "until", "endoflifedate",
    ),
}  # fmt: skip
"""What we read to the names of its column, letters and digits only, the most telling first."""

VAGUE = frozenset({"server", "endpoint", "workstation", "node", "name", "device", "asset"})
"""Titles of a column with hosts only where no other column has them."""

NOTHING = frozenset({"", "-", "--", "n/a", "na", "none", "null", "nil", "unknown", "tbd", "?"})
"""What people write into a cell that is empty."""

_WINDOWS = re.compile(
    r"(?<![a-z])(windows|win(nt)?(?![a-z])|w(7|8|10|11)(?![0-9a-z])|server 20\d\d)"
)
_OTHERS: Mapping[str, tuple[str, ...]] = {
    "linux": (
        "linux", "ubuntu", "debian", "rhel", "red hat", "redhat", "centos", "suse", "sles",
        "fedora", "oracle linux", "rocky", "alma", "amazon linux", "kali", "photon", "gnu",
    ),
    "macos": ("macos", "mac os", "os x", "osx", "darwin", "mac", "macbook"),
    "unix": ("aix", "solaris", "sunos", "hp-ux", "freebsd", "openbsd", "netbsd", "unix", "z/os"),
    "esxi": ("esxi", "esx", "vmware", "vsphere", "hypervisor"),
    "network devices": (
        "network", "cisco", "ios xe", "ios-xe", "nx-os", "junos", "fortios", "fortigate", "pan-os",
        "routeros", "arubaos", "eos", "switch", "router", "firewall", "access point", "big-ip",
    ),
    "mobile": ("android", "ipados", "iphone", "ipad", "ios"),
    "containers": ("container", "containers", "kubernetes", "docker"),
    "cloud": ("iaas", "saas", "paas", "office suite", "identity provider", "aws", "azure", "gcp"),
    "appliance": ("printer", "appliance", "embedded", "firmware", "camera", "nas", "ups", "plc"),
    "chromeos": ("chromeos", "chrome os"),
}  # fmt: skip
_WORDS = tuple(
    (platform, re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, words))})(?![a-z])"))
    for platform, words in _OTHERS.items()
)


def places_of(titles: Sequence[str]) -> dict[str, list[int]]:
    """What we read to the places of the columns that have it, the most telling first."""
    bare = ["".join(filter(str.isalnum, title.casefold())) for title in titles]
    places = {
        meant: [place for name in names for place, title in enumerate(bare) if title == name]
        for meant, names in COLUMNS.items()
    }
    telling = [place for place in places["host"] if bare[place] not in VAGUE]
    places["host"] = telling or places["host"][:1]
    return {meant: some for meant, some in places.items() if some}


def platform_of(text: str) -> str | None:
    """The platform that an operating system is of, such as ``windows``; None where it is unknown.

    An empty cell is Windows: it is Windows that the evidence model speaks of.
    """
    words = " ".join(text.casefold().replace("_", " ").split())
    if words in NOTHING or _WINDOWS.search(words):
        return "windows"
    return next((platform for platform, known in _WORDS if known.search(words)), None)
