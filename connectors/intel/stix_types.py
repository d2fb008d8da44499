"""What STIX 2.1 demands of each type: required properties, references, times.

From the OASIS STIX 2.1 specification, sections 3 to 7; a test compares this table with the
``stix2`` library. Types that are not here are custom and are asked for the common properties only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Form(Enum):
    """The form of a property's value."""

    TEXT = auto()
    TIME = auto()
    REF = auto()
    REFS = auto()
    FLAG = auto()
    NUMBER = auto()
    LIST = auto()
    MAP = auto()
    TEXTS = auto()


class Family(Enum):
    """Which common properties a type has."""

    VERSIONED = auto()  # SDO, SRO, language-content, extension-definition: created and modified
    MARKING = auto()  # created only
    OBSERVABLE = auto()  # neither


@dataclass(frozen=True, slots=True)
class Shape:
    """One type's demands.

    Attributes:
        required: Properties that must be there, with their form.
        optional: Properties whose form matters to us where they are there (references, times).
        any_of: Sets of properties of which each needs at least one present.
        order: Pairs of times of which the first must not be later than the second.
    """

    family: Family
    required: Mapping[str, Form]
    optional: Mapping[str, Form]
    any_of: tuple[tuple[str, ...], ...] = ()
    order: tuple[tuple[str, str], ...] = ()


def _shape(
    family: Family,
    required: str = "",
    *,
    refs: str = "",
    lists: str = "",
    times: str = "",
    any_of: tuple[str, ...] = (),
    order: tuple[tuple[str, str], ...] = (),
) -> Shape:
    needed = {}
    for item in required.split():
        name, _, form = item.partition(":")
        needed[name] = Form[form.upper()] if form else Form.TEXT
    optional = dict.fromkeys(refs.split(), Form.REF)
    optional |= dict.fromkeys(lists.split(), Form.REFS)
    optional |= dict.fromkeys(times.split(), Form.TIME)
    return Shape(family, needed, optional, tuple(tuple(one.split()) for one in any_of), order)


_V, _O = Family.VERSIONED, Family.OBSERVABLE
_SEEN = "first_seen last_seen"
_SEEN_ORDER = (("first_seen", "last_seen"),)

SHAPES: dict[str, Shape] = {
    # domain objects
    "attack-pattern": _shape(_V, "name"),
    "campaign": _shape(_V, "name", times=_SEEN, order=_SEEN_ORDER),
    "course-of-action": _shape(_V, "name"),
    "grouping": _shape(_V, "context object_refs:refs"),
    "identity": _shape(_V, "name"),
    "incident": _shape(_V, "name"),
    "indicator": _shape(_V, "pattern pattern_type valid_from:time", times="valid_until"),
    "infrastructure": _shape(_V, "name", times=_SEEN, order=_SEEN_ORDER),
    "intrusion-set": _shape(_V, "name", times=_SEEN, order=_SEEN_ORDER),
    "location": _shape(_V, any_of=("region country latitude",)),
    "malware": _shape(
        _V,
        "is_family:flag",
        lists="operating_system_refs sample_refs",
        times=_SEEN,
        order=_SEEN_ORDER,
    ),
    "malware-analysis": _shape(
        _V,
        "product",
        refs="host_vm_ref operating_system_ref sample_ref",
        lists="installed_software_refs analysis_sco_refs",
        times="submitted analysis_started analysis_ended",
        any_of=("result analysis_sco_refs",),
    ),
    "note": _shape(_V, "content object_refs:refs"),
    "observed-data": _shape(
        _V,
        "first_observed:time last_observed:time number_observed:number",
        lists="object_refs",
        any_of=("objects object_refs",),
        order=(("first_observed", "last_observed"),),
    ),
    "opinion": _shape(_V, "opinion object_refs:refs"),
    "report": _shape(_V, "name published:time object_refs:refs"),
    "threat-actor": _shape(_V, "name", times=_SEEN, order=_SEEN_ORDER),
    "tool": _shape(_V, "name"),
    "vulnerability": _shape(_V, "name"),
    # relationships
    "relationship": _shape(
        _V, "relationship_type source_ref:ref target_ref:ref", times="start_time stop_time"
    ),
    "sighting": _shape(
        _V,
        "sighting_of_ref:ref",
        lists="observed_data_refs where_sighted_refs",
        times=_SEEN,
        order=_SEEN_ORDER,
    ),
    # meta objects
    "extension-definition": _shape(
        _V, "created_by_ref:ref name schema version extension_types:list"
    ),
    "language-content": _shape(_V, "object_ref:ref contents:map", times="object_modified"),
    "marking-definition": _shape(Family.MARKING, any_of=("definition_type extensions",)),
    # cyber-observable objects
    "artifact": _shape(_O, any_of=("payload_bin url",)),
    "autonomous-system": _shape(_O, "number:number"),
    "directory": _shape(_O, "path", lists="contains_refs", times="ctime mtime atime"),
    "domain-name": _shape(_O, "value", lists="resolves_to_refs"),
    "email-addr": _shape(_O, "value", refs="belongs_to_ref"),
    "email-message": _shape(
        _O,
        "is_multipart:flag",
        refs="from_ref sender_ref raw_email_ref",
        lists="to_refs cc_refs bcc_refs",
        times="date",
    ),
    "file": _shape(
        _O,
        refs="parent_directory_ref content_ref",
        lists="contains_refs",
        times="ctime mtime atime",
        any_of=("hashes name",),
    ),
    "ipv4-addr": _shape(_O, "value", lists="resolves_to_refs belongs_to_refs"),
    "ipv6-addr": _shape(_O, "value", lists="resolves_to_refs belongs_to_refs"),
    "mac-addr": _shape(_O, "value"),
    "mutex": _shape(_O, "name"),
    "network-traffic": _shape(
        _O,
        "protocols:list",
        refs="src_ref dst_ref src_payload_ref dst_payload_ref encapsulated_by_ref",
        lists="encapsulates_refs",
        times="start end",
        any_of=("src_ref dst_ref",),
    ),
    "process": _shape(
        _O,
        refs="creator_user_ref image_ref parent_ref",
        lists="opened_connection_refs child_refs",
        times="created_time",
    ),
    "software": _shape(_O, "name"),
    "url": _shape(_O, "value"),
    "user-account": _shape(
        _O,
        times="account_created account_expires credential_last_changed account_first_login"
        " account_last_login",
    ),
    "windows-registry-key": _shape(_O, refs="creator_user_ref", times="modified_time"),
    "x509-certificate": _shape(_O, times="validity_not_before validity_not_after"),
}
"""Every type of STIX 2.1 by name."""

COMMON: dict[str, Form] = {
    "created_by_ref": Form.REF,
    "object_marking_refs": Form.REFS,
    "extensions": Form.MAP,
    **dict.fromkeys(
        (
            "aliases",
            "goals",
            "indicator_types",
            "infrastructure_types",
            "labels",
            "malware_types",
            "report_types",
            "roles",
            "secondary_motivations",
            "sectors",
            "threat_actor_types",
            "tool_types",
        ),
        Form.TEXTS,
    ),
}
