"""What a Sigma rule looks for, as observables: whether it asks for more than everyday values."""

from collections.abc import Iterator, Mapping

from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule
from sigma.types import SigmaString

from huntonce.connectors.sigma.logsource import variants
from huntonce.connectors.sigma.rules import logsource_of, parse_rule
from huntonce.models.indicators.patterns import Arrival, Comparison, Group, Op, Place, join

_PATHS = {
    "destinationip": "ipv4-addr:value",
    "sourceip": "ipv4-addr:value",
    "destinationhostname": "domain-name:value",
    "queryname": "domain-name:value",
    "query": "domain-name:value",
    "cs-host": "domain-name:value",
    "destinationport": "network-traffic:dst_port",
    "sourceport": "network-traffic:src_port",
    "initiated": "network-traffic:protocols",
    "protocol": "network-traffic:protocols",
}
# A system program is nothing to find where it starts; that it opens a connection may well be.
_FILES = frozenset({"image", "parentimage", "originalfilename", "targetfilename", "imageloaded"})
_EVERYDAY = frozenset({"process_creation", "file_event", "image_load"})
_OTHER = "x-field:value"


def rule_observables(text: str) -> Comparison | Group[Comparison] | None:
    """The values that a rule's selections ask for; filters are not what it looks for.

    Values of fields that are no observable are kept as such: they tell something. None where a
    rule asks for nothing in a field (keywords alone).

    Raises:
        DomainError: It is no Sigma rule.
    """
    rule = parse_rule(text)
    paths = dict(_PATHS)
    if rule.logsource.category in _EVERYDAY:
        paths |= dict.fromkeys(_FILES, "file:name")
    parts = [
        made
        for name, detection in rule.detection.detections.items()
        if not name.startswith("filter") and (made := _detection(detection, paths)) is not None
    ]
    return join(tuple(parts), every=_all_needed(rule)) if parts else None


def rule_place(text: str) -> Place:
    """Where the events of a rule's log source are recorded.

    Raises:
        DomainError: It is no Sigma rule, or its log source is not known.
    """
    logsource = logsource_of(parse_rule(text))
    arrivals = tuple(
        Arrival(channel=variant.channel, event_ids=variant.event_ids, renames={})
        for variant in variants(logsource)
    )
    named = {key: value for key, value in logsource.items() if value}
    return Place(name=" ".join(named.values()), logsource=named, arrivals=arrivals)


def _all_needed(rule: SigmaRule) -> bool:
    """Whether its condition joins selections by "and"; "or" and "1 of" make them alternatives."""
    text = " ".join(str(condition.condition) for condition in rule.detection.parsed_condition)
    return " or " not in f" {text} ".lower() and "1 of" not in text.lower()


def _detection(
    detection: SigmaDetection, paths: Mapping[str, str]
) -> Comparison | Group[Comparison] | None:
    parts = tuple(
        made
        for item in detection.detection_items
        if (
            made := _detection(item, paths)
            if isinstance(item, SigmaDetection)
            else _item(item, paths)
        )
        is not None
    )
    every = "AND" in str(detection.item_linking)
    return join(parts, every=every) if parts else None


def _item(
    item: SigmaDetectionItem, paths: Mapping[str, str]
) -> Comparison | Group[Comparison] | None:
    values = tuple(_values(item, paths))
    return join(values, every="AND" in str(item.value_linking)) if values else None


def _values(item: SigmaDetectionItem, paths: Mapping[str, str]) -> Iterator[Comparison]:
    path = paths.get(str(item.field or "").lower(), _OTHER)
    for value in item.value:
        text = str(value.to_plain()) if isinstance(value, SigmaString) else str(value)
        yield Comparison(path=path, op=Op.EQUALS, value=text.strip("*").lstrip("\\"))
