r"""STIX object paths in the fields of events: where an observable would be seen.

Facts of Sysmon and Windows: Sysmon writes hashes as "SHA256=...,MD5=...", registry roots short
(HKLM, and HKU\<sid> for the current user's), paths with their drive.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from huntonce.connectors.sigma.logsource import variants
from huntonce.models.indicators.patterns import (
    Arrival,
    Comparison,
    FieldTest,
    Group,
    Op,
    Place,
    join,
)
from huntonce.models.indicators.warninglists import registry_root

Made = FieldTest | Group[FieldTest] | None
Maker = Callable[[Comparison], Made]
_SHORT_COMMAND = 12
_ORDERED = frozenset({Op.GREATER, Op.AT_LEAST, Op.LESS, Op.AT_MOST})
_ALGORITHMS = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256", "imphash": "IMPHASH"}


def _windows(
    name: str, *, category: str = "", service: str = "", ids: tuple[int, ...] = ()
) -> Place:
    kind = {"category": category} if category else {"service": service}
    logsource = {"product": "windows", **kind}
    arrivals = tuple(
        Arrival(
            channel=variant.channel,
            event_ids=ids or variant.event_ids,
            renames={name.lower(): to for name, to in variant.renames.items()},
        )
        for variant in variants(logsource)
    )
    return Place(name=name, logsource=logsource, event_ids=ids, arrivals=arrivals)


PLACES: tuple[Place, ...] = (
    _windows("process start", category="process_creation"),
    _windows("new file", category="file_event"),
    _windows("deleted file", category="file_delete"),
    _windows("loaded image", category="image_load"),
    _windows("loaded driver", category="driver_load"),
    _windows("new executable", category="file_executable_detected"),
    _windows("file stream", category="create_stream_hash"),
    _windows("registry", category="registry_event"),
    _windows("network connection", category="network_connection"),
    _windows("DNS query", category="dns_query"),
    _windows("PowerShell script", category="ps_script"),
    _windows("logon", service="security", ids=(4624, 4625, 4648, 4768, 4769, 4776, 4778)),
    _windows("filtered connection", service="security", ids=(5156, 5157)),
    _windows("new service", service="system", ids=(7045,)),
    Place(name="DNS log", logsource={"category": "dns"}),
    Place(name="proxy", logsource={"category": "proxy"}),
    Place(name="firewall", logsource={"category": "firewall"}),
)
"""In the order in which they are searched."""


def field_tests(comparison: Comparison, place: str) -> Made:
    """A comparison as tests of the fields that a place's events have; None where it has none."""
    maker = _table(comparison.path).get(place)
    return maker(comparison) if maker else None


def known_path(path: str) -> bool:
    """Whether some place records what an object path is about."""
    return bool(_table(path))


def _table(path: str) -> Mapping[str, Maker]:
    head, dot, algorithm = path.rpartition("hashes.")
    if dot and head in {"file:", "process:image_ref."}:
        name = _ALGORITHMS.get(algorithm.casefold().replace("-", ""), "")
        if not name:
            return {}
        places = _HASHED if head == "file:" else {"process start": "Hashes"}
        return {place: _hash(field, name) for place, field in places.items()}
    return _PATHS.get(path, {})


def _same(field: str) -> Maker:
    def make(c: Comparison) -> Made:
        if c.op in _ORDERED and not re.fullmatch(r"-?\d+(\.\d+)?", c.value):
            return None
        return FieldTest(field=field, op=c.op, value=c.value, negated=c.negated)

    return make


def _either(*fields: str, maker: "Callable[[str], Maker]") -> Maker:
    """Any of several fields; where the comparison is negated, none of them."""
    makers = [maker(field) for field in fields]

    def make(c: Comparison) -> Made:
        made = tuple(test for one in makers if (test := one(c)) is not None)
        return join(made, every=c.negated) if made else None

    return make


def _tail(field: str) -> Maker:
    """A file's name as the end of a path; a value that is a path already is taken as one."""

    def make(c: Comparison) -> Made:
        value, op = c.value.replace("/", "\\"), c.op
        if op is Op.EQUALS and not re.match(r"[A-Za-z]:\\", value):
            value, op = f"\\{value.lstrip(chr(92))}", Op.ENDS
        elif op is Op.LIKE and not value.startswith("%") and not re.match(r"[A-Za-z]:\\", value):
            value = f"%\\{value}"
        elif op is Op.REGEX:
            value = re.sub(r"^\^", r"(^|\\\\)", c.value)
        elif op not in {Op.EQUALS, Op.LIKE}:
            return None
        return FieldTest(field=field, op=op, value=value, negated=c.negated)

    return make


def _below(field: str) -> Maker:
    """A folder as the start of a path."""

    def make(c: Comparison) -> Made:
        if c.op is not Op.EQUALS:
            return None
        folder = c.value.replace("/", "\\").rstrip("\\")
        # A variable stands for a start that is not known here: what follows it is looked for.
        if folder.startswith("%") and "\\" in folder:
            rest = folder.partition("\\")[2]
            test = FieldTest(field=field, op=Op.CONTAINS, value=f"\\{rest}\\")
            return None if c.negated else test
        return FieldTest(field=field, op=Op.STARTS, value=f"{folder}\\", negated=c.negated)

    return make


def _hash(field: str, algorithm: str) -> Maker:
    def make(c: Comparison) -> Made:
        if c.op is not Op.EQUALS or not re.fullmatch(r"[0-9a-fA-F]{32,64}", c.value):
            return None
        value = f"{algorithm}={c.value.upper()}"
        return FieldTest(field=field, op=Op.CONTAINS, value=value, negated=c.negated)

    return make


def _command(field: str) -> Maker:
    """A command line, as a part of the logged one: reports write other quotes and paths."""

    def make(c: Comparison) -> Made:
        loose = c.op is Op.EQUALS and not c.negated and len(c.value) >= _SHORT_COMMAND
        return FieldTest(
            field=field,
            op=Op.CONTAINS if loose else c.op,
            value=c.value.strip() if loose else c.value,
            negated=c.negated,
        )

    return make


def _address(field: str) -> Maker:
    def make(c: Comparison) -> Made:
        if c.op is Op.EQUALS and "/" in c.value:
            c = replace(c, op=Op.CIDR)
        if c.op is Op.EQUALS and c.value.endswith(("/32", "/128")):
            c = replace(c, value=c.value.partition("/")[0])
        if c.op not in {Op.EQUALS, Op.LIKE, Op.CIDR}:
            return None
        return FieldTest(field=field, op=c.op, value=c.value, negated=c.negated)

    return make


def _url(field: str) -> Maker:
    def make(c: Comparison) -> Made:
        if c.op is Op.EQUALS and not c.negated:
            _, scheme, rest = c.value.partition("://")
            value = f"//{rest}" if scheme else c.value
            return FieldTest(field=field, op=Op.CONTAINS, value=value)
        return _same(field)(c) if c.op is Op.LIKE else None

    return make


def _registry(c: Comparison) -> Made:
    if c.op is not Op.EQUALS:
        return None
    root, _, rest = registry_root(c.value).partition("\\")
    if root in {"HKLM", "HKU", "HKCC"} and rest:
        key, exact, within = f"{root}\\{rest}", Op.EQUALS, Op.STARTS
    else:  # the current user's part has another name in every event
        tail = rest if root in {"HKCU", "HKCR"} else c.value
        key, exact, within = f"\\{tail.strip(chr(92))}", Op.ENDS, Op.CONTAINS
    tests = (
        FieldTest(field="TargetObject", op=exact, value=key, negated=c.negated),
        FieldTest(field="TargetObject", op=within, value=f"{key}\\", negated=c.negated),
    )
    return join(tests, every=c.negated)


_HASHED = {
    "process start": "Hashes",
    "loaded image": "Hashes",
    "loaded driver": "Hashes",
    "new executable": "Hashes",
    "deleted file": "Hashes",
    "file stream": "Hash",
}
_NAMED: dict[str, Maker] = {
    "process start": _tail("Image"),
    "new file": _tail("TargetFilename"),
    "deleted file": _tail("TargetFilename"),
    "loaded image": _tail("ImageLoaded"),
    "loaded driver": _tail("ImageLoaded"),
    "file stream": _tail("TargetFilename"),
}
_FOLDERS: dict[str, Maker] = {
    "process start": _below("Image"),
    "new file": _below("TargetFilename"),
    "loaded image": _below("ImageLoaded"),
}
_TO: dict[str, Maker] = {
    "network connection": _address("DestinationIp"),
    "filtered connection": _address("DestAddress"),
    "firewall": _address("dst_ip"),
}
_FROM: dict[str, Maker] = {
    "network connection": _address("SourceIp"),
    "logon": _address("IpAddress"),
    "filtered connection": _address("SourceAddress"),
    "firewall": _address("src_ip"),
}
_DOMAIN: dict[str, Maker] = {
    "DNS query": _same("QueryName"),
    "network connection": _same("DestinationHostname"),
    "DNS log": _same("query"),
    "proxy": _same("cs-host"),
}
_ADDRESS: dict[str, Maker] = {
    "network connection": _either("DestinationIp", "SourceIp", maker=_address),
    "logon": _address("IpAddress"),
    "filtered connection": _either("DestAddress", "SourceAddress", maker=_address),
    "firewall": _either("dst_ip", "src_ip", maker=_address),
    "proxy": _same("dst_ip"),
}
_PROCESS = _tail("Image")
_PATHS: dict[str, Mapping[str, Maker]] = {
    "file:name": _NAMED,
    "directory:path": _FOLDERS,
    "file:parent_directory_ref.path": _FOLDERS,
    "domain-name:value": _DOMAIN,
    "url:value": {
        "proxy": _url("c-uri"),
        "process start": _url("CommandLine"),
        "PowerShell script": _url("ScriptBlockText"),
    },
    "ipv4-addr:value": _ADDRESS,
    "ipv6-addr:value": _ADDRESS,
    "network-traffic:dst_ref.value": _TO,
    "network-traffic:src_ref.value": _FROM,
    "network-traffic:dst_port": {
        "network connection": _same("DestinationPort"),
        "filtered connection": _same("DestPort"),
        "firewall": _same("dst_port"),
    },
    "network-traffic:src_port": {
        "network connection": _same("SourcePort"),
        "firewall": _same("src_port"),
    },
    "network-traffic:protocols[*]": {"network connection": _same("Protocol")},
    "process:command_line": {"process start": _command("CommandLine")},
    "process:parent_ref.command_line": {"process start": _command("ParentCommandLine")},
    "process:name": {"process start": _PROCESS},
    "process:image_ref.name": {"process start": _PROCESS},
    "process:parent_ref.name": {"process start": _tail("ParentImage")},
    "process:parent_ref.image_ref.name": {"process start": _tail("ParentImage")},
    "process:cwd": {"process start": _same("CurrentDirectory")},
    "windows-registry-key:key": {"registry": _registry},
    "windows-registry-key:values[*].name": {"registry": _tail("TargetObject")},
    "windows-registry-key:values[*].data": {"registry": _same("Details")},
    "process:extensions.windows-service-ext.service_name": {"new service": _same("ServiceName")},
    "user-account:account_login": {
        "logon": _either("TargetUserName", "SubjectUserName", maker=_same)
    },
}
