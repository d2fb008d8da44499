"""Sigma log sources in terms of Windows channels, event ids and the names their fields carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from huntonce.connectors.sigma.channels import (
    KERNEL_FILE,
    POWERSHELL,
    POWERSHELL_CLASSIC,
    POWERSHELL_CORE,
    SECURITY,
    SERVICE_CHANNELS,
    SYSMON,
)
from huntonce.models.errors import DomainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One place where the events of a log source are recorded.

    Attributes:
        channel: Exact channel name; empty for every channel.
        event_ids: Ids that belong to it; empty for every id.
        renames: Sigma field name to the name the event carries, where they differ.
        values: Sigma field name to a table of recorded value to the value Sigma expects.
    """

    channel: str = ""
    event_ids: tuple[int, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


PROCESS_CREATION_4688 = Variant(
    channel=SECURITY,
    event_ids=(4688,),
    renames={
        "Image": "NewProcessName",
        "ParentImage": "ParentProcessName",
        "User": "SubjectUserName",
        "ProcessId": "NewProcessId",
        "ParentProcessId": "ProcessId",
        "LogonId": "SubjectLogonId",
        "ProcessCommandLine": "CommandLine",
        "IntegrityLevel": "MandatoryLabel",
    },
    values={
        "IntegrityLevel": {
            "S-1-16-0": "Untrusted",
            "S-1-16-4096": "Low",
            "S-1-16-8192": "Medium",
            "S-1-16-8448": "MediumPlus",
            "S-1-16-12288": "High",
            "S-1-16-16384": "System",
        }
    },
)

_SYSMON_IDS: dict[str, tuple[int, ...]] = {
    "clipboard_capture": (24,),
    "create_remote_thread": (8,),
    "create_stream_hash": (15,),
    "dns_query": (22,),
    "driver_load": (6,),
    "file_block_executable": (27,),
    "file_block_shredding": (28,),
    "file_change": (2,),
    "file_delete": (23, 26),
    "file_event": (11,),
    "file_executable_detected": (29,),
    "image_load": (7,),
    "network_connection": (3,),
    "pipe_created": (17, 18),
    "process_access": (10,),
    "process_creation": (1,),
    "process_tampering": (25,),
    "process_termination": (5,),
    "raw_access_thread": (9,),
    "registry_add": (12,),
    "registry_delete": (12,),
    "registry_event": (12, 13, 14),
    "registry_rename": (14,),
    "registry_set": (13,),
    "sysmon_error": (255,),
    "sysmon_status": (4, 16),
    "wmi_event": (19, 20, 21),
}

_CATEGORIES: dict[str, tuple[Variant, ...]] = {
    **{
        name: (Variant(channel=SYSMON, event_ids=event_ids),)
        for name, event_ids in _SYSMON_IDS.items()
    },
    "process_creation": (
        Variant(channel=SYSMON, event_ids=(1,), renames={"ProcessCommandLine": "CommandLine"}),
        PROCESS_CREATION_4688,
    ),
    "file_access": (Variant(channel=KERNEL_FILE),),
    "file_rename": (Variant(channel=KERNEL_FILE),),
    "ps_script": (
        Variant(channel=POWERSHELL, event_ids=(4104,)),
        Variant(channel=POWERSHELL_CORE, event_ids=(4104,)),
    ),
    "ps_module": (
        Variant(channel=POWERSHELL, event_ids=(4103,)),
        Variant(channel=POWERSHELL_CORE, event_ids=(4103,)),
    ),
    "ps_classic_start": (Variant(channel=POWERSHELL_CLASSIC, event_ids=(400,)),),
    "ps_classic_provider_start": (Variant(channel=POWERSHELL_CLASSIC, event_ids=(600,)),),
    "ps_classic_script": (Variant(channel=POWERSHELL_CLASSIC, event_ids=(800,)),),
}

_KEYS = frozenset({"category", "product", "service", "definition"})


def variants(logsource: Mapping[str, str | None]) -> tuple[Variant, ...]:
    """Where Windows records the events of a Sigma log source.

    Returns:
        Nothing where the log source belongs to another product than Windows.

    Raises:
        DomainError: It is not a log source, or a Windows one that is not known here.
    """
    unknown = sorted(set(logsource) - _KEYS)
    if unknown:
        raise DomainError(f"the log source has unknown keys: {', '.join(unknown)}")
    category, product, service = (
        str(logsource.get(key) or "").strip().lower() for key in ("category", "product", "service")
    )
    if not (category or product or service):
        raise DomainError("the log source names no category, product or service")
    if product and product != "windows":
        return ()
    if not product and category not in _CATEGORIES and service not in SERVICE_CHANNELS:
        return ()
    found = _of_category(category) if category else _of_service(service)
    if category and service:
        channels = {channel.lower() for channel in _service_channels(service)}
        found = tuple(variant for variant in found if variant.channel.lower() in channels)
    return found


def _of_category(category: str) -> tuple[Variant, ...]:
    try:
        return _CATEGORIES[category]
    except KeyError:
        raise DomainError(f"no Windows log source of category {category!r} is known") from None


def _of_service(service: str) -> tuple[Variant, ...]:
    if not service:
        return (Variant(),)
    return tuple(Variant(channel=channel) for channel in _service_channels(service))


def _service_channels(service: str) -> tuple[str, ...]:
    try:
        return SERVICE_CHANNELS[service]
    except KeyError:
        raise DomainError(f"no Windows channel of service {service!r} is known") from None
