"""Rules that could not fire on what the lake holds: visibility gaps, not clean results."""

from collections.abc import Iterable, Mapping, Sequence

from huntonce.connectors.siem.lake.layout import channel_folder
from huntonce.connectors.siem.sweep.planning import Outlook
from huntonce.connectors.siem.sweep.report import BlindRule
from huntonce.connectors.sigma.logsource import Variant
from huntonce.connectors.sigma.pack import CompiledRule

Outlooks = Mapping[tuple[str, int], Outlook]

_NO_EVENTS = "no event of its log source"
_NO_IDS = "no event of the ids that it asks for"
_NO_FIELDS = "no event has the fields that it needs"


def blind_rules(rules: Sequence[CompiledRule], outlooks: Outlooks) -> tuple[BlindRule, ...]:
    """The rules that could fire in no class of events, and those that could not in some source.

    A source in which a rule folds to false although events of it are there, and for want of
    fields, is a gap even where the rule can fire elsewhere (a process is logged, but not its
    command line).
    """
    live: dict[int, set[int]] = {}
    lacking: dict[int, dict[int, dict[str, None]]] = {}
    for found in outlooks.values():
        for rule, place in found.live:
            live.setdefault(rule, set()).add(place)
        for rule, place, fields in found.blind:
            known = lacking.setdefault(rule, {}).setdefault(place, {})
            known.update(dict.fromkeys(fields))
    channels = {channel for channel, _ in outlooks}
    blind = []
    for number, held in enumerate(rules):
        alive = live.get(number, set())
        lacks = {
            place: fields for place, fields in lacking.get(number, {}).items() if place not in alive
        }
        if alive and lacks:
            blind.append(_blind(held, lacks, _NO_FIELDS, partly=True))
        elif not alive and lacks:
            blind.append(_blind(held, lacks, _NO_FIELDS, partly=False))
        elif not alive:
            places: dict[int, dict[str, None]] = {place: {} for place in range(len(held.places))}
            reason = _NO_IDS if _logged(held.places, outlooks, channels) else _NO_EVENTS
            blind.append(_blind(held, places, reason, partly=False))
    return tuple(blind)


def _logged(places: Iterable[Variant], outlooks: Outlooks, channels: Iterable[str]) -> bool:
    """Whether there is an event of some place at all."""
    known = set(channels)
    for place in places:
        if not place.channel:
            return bool(known)
        folder = channel_folder(place.channel)
        if not place.event_ids and folder in known:
            return True
        if any((folder, event_id) in outlooks for event_id in place.event_ids):
            return True
    return False


def _blind(
    rule: CompiledRule, lacks: Mapping[int, Mapping[str, None]], reason: str, *, partly: bool
) -> BlindRule:
    fields = sorted({field for found in lacks.values() for field in found})
    return BlindRule(
        id=rule.id,
        title=rule.title,
        level=rule.level,
        sources=tuple(_name(rule.places[place]) for place in sorted(lacks)),
        fields=tuple(fields),
        reason=reason,
        partly=partly,
    )


def _name(place: Variant) -> str:
    channel = place.channel or "any channel"
    ids = ", ".join(str(event_id) for event_id in place.event_ids)
    return f"{channel} {ids}".strip()
