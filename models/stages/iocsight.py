"""Which hosts could show an indicator at all: those that send the events with the fields."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from huntonce.models.indicators.matching import Tree, fields
from huntonce.models.indicators.patterns import Group, Place
from huntonce.models.query import FieldWant
from huntonce.models.stages.ioctypes import Work
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import population_of
from huntonce.models.windows import Window


class Sight:
    """Which hosts could show a tree in a place: those that send its events with its fields."""

    def __init__(self, kit: Kit, window: Window, works: Iterable[Work]) -> None:
        self.population = population_of(kit.siem, kit.profile)
        wanted: dict[tuple[str, int], set[str]] = defaultdict(set)
        for work in works:
            for place, tree in work.branches:
                for name in fields([tree]):
                    for arrival in place.arrivals:
                        for event_id in arrival.event_ids:
                            wanted[arrival.channel, event_id].add(arrival.field(name))
        wants = [
            FieldWant(channel=channel, event_id=event_id, fields=tuple(sorted(names)))
            for (channel, event_id), names in sorted(wanted.items())
        ]
        self._filled: dict[tuple[str, int, str], set[str]] = defaultdict(set)
        for row in kit.siem.field_fill(window, wants).to_pylist() if wants else ():
            if row["filled"]:
                key = (row["channel"].casefold(), row["event_id"], row["field"])
                self._filled[key].add(row["host"])
        self._sending: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        if any(work.rule_place for work in works):
            for row in arriving(kit.siem.inventory(window)):
                self._sending[row["channel"].casefold()][row["event_id"]].add(row["host"])

    def senders(self, place: Place) -> set[str]:
        """Hosts of the population that send any of a place's events."""
        found: set[str] = set()
        for arrival in place.arrivals:
            channels = [arrival.channel.casefold()] if arrival.channel else [*self._sending]
            for by_id in (self._sending[channel] for channel in channels):
                found |= set().union(*(by_id[i] for i in arrival.event_ids or [*by_id]))
        return found & set(self.population)

    def hosts(self, place: Place, tree: Tree) -> set[str]:
        """Of the population; empty where nothing could be seen, or the place tells nothing."""
        if isinstance(tree, Group):
            sets = [self.hosts(place, part) for part in tree.parts]
            return set.intersection(*sets) if tree.every else set.union(*sets)
        if tree.negated:
            return set(self.population)
        found: set[str] = set()
        for arrival in place.arrivals:
            name = arrival.field(tree.field)
            for event_id in arrival.event_ids:
                found |= self._filled.get((arrival.channel.casefold(), event_id, name), set())
        return found & set(self.population)


def arriving(inventory: pa.Table) -> list[dict[str, Any]]:
    """Each host, channel and event id of an inventory once."""
    columns = ["host", "channel", "event_id"]
    rows: list[dict[str, Any]] = inventory.group_by(columns).aggregate([]).to_pylist()
    return rows
