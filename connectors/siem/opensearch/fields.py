"""Fields that a rule names, as what a cluster has indexed of them.

Winlogbeat keeps an event's own data below ``winlog.event_data``; its modules and ingest pipelines
copy or move some of it to ECS fields. Which of them a cluster has is read from its mapping; the
ECS names are pySigma's own Windows pipeline's.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

from sigma.pipelines.elasticsearch.windows import ecs_windows
from sigma.processing.conditions import RuleProcessingCondition
from sigma.processing.transformations import FieldMappingTransformation
from sigma.rule import SigmaLogSource, SigmaRule

from huntonce.connectors.siem.opensearch.mapping import Indexed, IndexMap
from huntonce.connectors.sigma.channels import SERVICE_CHANNELS
from huntonce.connectors.sigma.logsource import Variant

TIME = "@timestamp"
CHANNEL = "winlog.channel"
COMPUTER = "winlog.computer_name"
RECORD = "winlog.record_id"
EVENT_IDS = ("event.code", "winlog.event_id")

_OF_RECORD = {
    "eventid": EVENT_IDS,
    "channel": (CHANNEL,),
    "provider_name": ("winlog.provider_name",),
    "computer": (COMPUTER,),
    "computername": (COMPUTER,),
    "hostname": (COMPUTER,),
    "eventrecordid": (RECORD,),
}
_OF_HEADER = {
    "level": ("winlog.level",),
    "task": ("winlog.task",),
    "opcode": ("winlog.opcode",),
    "keywords": ("winlog.keywords",),
    "version": ("winlog.version",),
    "userid": ("winlog.user.identifier",),
    "message": ("message",),
}
_FIRST_CHOICE = frozenset({"eventid", "channel"})
_OF_TASK = frozenset(
    {
        *("taskauthor", "taskcommand", "taskarguments", "taskuserid", "taskrunlevel"),
        *("tasklogontype", "taskhidden", "tasktriggers", "taskuri"),
    }
)
_TASK_IDS = ["4698", "4702"]
_TASK_CONTENT = ("TaskContent", "TaskContentNew")


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a field is.

    Attributes:
        own: Fields that hold just the value that the rule means.
        also: Fields that hold it in events that lack the former.
        derived: It is read out of ``own`` (the parts of a task's XML), or recorded in other
            words: searching can tell no more than that there is something.
        scope: Query that holds for every event that can have it; None where nothing is known.
    """

    own: tuple[Indexed, ...]
    also: tuple[Indexed, ...] = ()
    derived: bool = False
    scope: dict[str, Any] | None = None

    @property
    def all(self) -> tuple[Indexed, ...]:
        """Every one of them."""
        return (*self.own, *self.also)


class PlaceFields:
    """Resolves the field names of one rule in one place where its log source is recorded."""

    def __init__(self, index: IndexMap, place: Variant, source: SigmaLogSource) -> None:
        self._index = index
        self._renames = {name.lower(): to for name, to in place.renames.items()}
        self._recorded_otherwise = frozenset(name.lower() for name in place.values)
        self._ecs = ecs_names(source.category or "", source.service or "")

    @classmethod
    def of_channel(cls, index: IndexMap, channel: str) -> Self:
        """The fields of a channel's events by the names that they carry there."""
        service = next((name for name, found in SERVICE_CHANNELS.items() if channel in found), "")
        source = SigmaLogSource(product="windows", service=service or None)
        return cls(index, Variant(channel=channel), source)

    def find(self, field: str) -> Resolved:
        """Where a field is; nowhere where the cluster has no mapping for it."""
        lower = field.lower()
        if lower in _FIRST_CHOICE:
            return Resolved(self._record(lower))
        name = self._renames.get(lower, field)
        exact = self._index.of_event(name)
        ecs = self._index.at(*self._ecs.get(lower, ()))[:1]
        if not exact and lower in _OF_TASK:
            content = [one for part in _TASK_CONTENT for one in self._index.of_event(part)]
            ids = self._index.at(*EVENT_IDS)[:1]
            scope = {"terms": {ids[0].path: _TASK_IDS}} if ids else None
            return Resolved(tuple(content), derived=True, scope=scope)
        record = self._record(lower)
        # Like the lake: its own name, else the record's entry, else the name by its letters.
        choices = [exact, record, () if lower in _OF_RECORD else self._index.like(name), ecs]
        found = [choice for choice in choices if choice]
        if not found:
            return Resolved(())
        others = tuple(one for choice in found[1:] for one in choice if one not in found[0])
        return Resolved(found[0], others, lower in self._recorded_otherwise)

    def _record(self, lower: str) -> tuple[Indexed, ...]:
        """The record's own entry of that name; none of them is ever too long to be indexed."""
        found = self._index.at(*_OF_RECORD.get(lower, _OF_HEADER.get(lower, ())))[:1]
        return tuple(replace(one, longest=None) for one in found)

    def recorded_as(self, field: str) -> str:
        """The name under which events of this place carry a field."""
        return self._renames.get(field.lower(), field)

    def recorded_in(self, field: str) -> tuple[str, ...]:
        """The names of event data that a field is read from."""
        return _TASK_CONTENT if field.lower() in _OF_TASK else (self.recorded_as(field),)

    def moved_to(self, field: str) -> tuple[str, ...]:
        """ECS paths that may hold a field's value in place of the event's own data."""
        paths = self._ecs.get(field.lower(), ())
        return tuple(path.removesuffix(".caseless") for path in paths)


@cache
def ecs_names(category: str, service: str) -> dict[str, tuple[str, ...]]:
    """Sigma field (lower case) to the ECS fields that pySigma's pipeline maps it to."""
    rule = SigmaRule.from_dict(
        {
            "title": "names",
            "logsource": {
                "product": "windows",
                **({"category": category} if category else {}),
                **({"service": service} if service else {}),
            },
            "detection": {"s": {"x": "y"}, "condition": "s"},
        }
    )
    names: dict[str, tuple[str, ...]] = {}
    for item in ecs_windows().items:
        change = item.transformation
        if not isinstance(change, FieldMappingTransformation):
            continue
        if not all(_meets(condition, rule) for condition in item.rule_conditions):
            continue
        for field, target in change.mapping.items():
            path = str(target)
            # The record's own fields are looked up without it.
            if not path.startswith("winlog.") or path.count(".") > 1:
                both = (path, path.removesuffix(".caseless"))
                names.setdefault(str(field).lower(), tuple(dict.fromkeys(both)))
    return names


def _meets(condition: object, rule: SigmaRule) -> bool:
    return isinstance(condition, RuleProcessingCondition) and condition.match(rule)
