"""Intel objects as a graph: who is attributed to whom, who is targeted, which report says what."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from huntonce.models.deriving.text import (
    UNDATED,
    moment,
    object_type,
    plain,
    reference,
    references,
    texts,
)
from huntonce.models.intel import IntelObject, SourceRef
from huntonce.models.tlp import tightest

Feeds = Callable[[str], tuple[str, ...]]
REPORT_TYPES = ("report", "grouping")
ACTOR_TYPES = ("intrusion-set", "threat-actor", "campaign")


class IntelGraph:
    """The newest, unrevoked version of each object, with the edges that deriving follows."""

    def __init__(self, objects: Iterable[IntelObject], feeds: Feeds) -> None:
        self.objects = _newest(objects)
        self.relationships = [o for o in self.objects.values() if o.type == "relationship"]
        self.reports = [o for o in self.objects.values() if o.type in REPORT_TYPES]
        self.refs = {o.id: frozenset(references(o.content, "object_refs")) for o in self.reports}
        self._feeds = feeds
        self._reports_of: dict[str, list[IntelObject]] = defaultdict(list)
        for report in self.reports:
            for ref in sorted(self.refs[report.id]):
                self._reports_of[ref].append(report)
        self._out: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._used_by: dict[str, list[str]] = defaultdict(list)
        for edge in self.relationships:
            self._link(edge)
        self._names: dict[str, str] = {}
        self._actor_of: dict[str, str] = {}
        self._aims: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def _link(self, edge: IntelObject) -> None:
        source = reference(edge.content, "source_ref")
        target = reference(edge.content, "target_ref")
        kind = plain(edge.content.get("relationship_type")).casefold()
        if not source or not target:
            return
        if kind in {"targets", "attributed-to", "located-at", "indicates"}:
            self._out[source][kind].append(target)
        elif kind == "uses" and object_type(target) in {"malware", "tool"}:
            self._used_by[target].append(source)

    def name(self, object_id: str) -> str:
        """The object's name, or ""."""
        if object_id not in self._names:
            found = self.objects.get(object_id)
            self._names[object_id] = plain(found.content.get("name")) if found else ""
        return self._names[object_id]

    def reports_with(self, object_id: str) -> tuple[IntelObject, ...]:
        """Reports and groupings that refer to the object."""
        return tuple(self._reports_of.get(object_id, ()))

    def indicated(self, indicator_id: str) -> str:
        """The one actor, else malware or tool, that an indicator indicates; "" if not just one."""
        targets = self._out[indicator_id]["indicates"] if indicator_id in self._out else []
        return self._sole(targets, (*ACTOR_TYPES, "malware", "tool"))

    def behind(self, actor_id: str) -> str:
        """Who a campaign is attributed to, if to one actor; else the actor itself."""
        if object_type(actor_id) != "campaign" or actor_id not in self._out:
            return actor_id
        return self._sole(self._out[actor_id]["attributed-to"], ACTOR_TYPES[:2]) or actor_id

    def actor_of(self, report: IntelObject) -> str:
        """The one actor that a report is about; "" if none or several."""
        if report.id not in self._actor_of:
            self._actor_of[report.id] = self._sole(self.refs[report.id], ACTOR_TYPES)
        return self._actor_of[report.id]

    def _sole(self, ids: Iterable[str], types: tuple[str, ...]) -> str:
        """The only object of the first type that is there at all."""
        named = {i for i in ids if i in self.objects}
        for kind in types:
            found = [i for i in named if object_type(i) == kind]
            if found:
                return found[0] if len(found) == 1 else ""
        return ""

    def aims(self, subject_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Sectors and regions that a subject, or who stands behind it, targets."""
        if subject_id not in self._aims:
            behind = [
                *(self._out[subject_id]["attributed-to"] if subject_id in self._out else ()),
                *self._used_by.get(subject_id, ()),
            ]
            targets = [t for i in (subject_id, *behind) if i in self._out for t in self._targets(i)]
            self._aims[subject_id] = self.places(targets)
        return self._aims[subject_id]

    def _targets(self, subject_id: str) -> tuple[str, ...]:
        return tuple(self._out[subject_id]["targets"])

    def places(self, ids: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Sectors and regions of identities and locations, sorted and lower case."""
        sectors: set[str] = set()
        regions: set[str] = set()
        for object_id in ids:
            found = self.objects.get(object_id)
            if found is None:
                continue
            sectors.update(s.casefold() for s in texts(found.content, "sectors"))
            located = self._out[object_id]["located-at"] if object_id in self._out else []
            for place in (object_id, *located):
                regions.update(self._regions(place))
        return tuple(sorted(sectors)), tuple(sorted(regions))

    def _regions(self, location_id: str) -> set[str]:
        found = self.objects.get(location_id)
        if found is None or found.type != "location":
            return set()
        values = (plain(found.content.get(key)) for key in ("region", "country", "name"))
        return {value.casefold() for value in values if value}

    def dated(self, item: IntelObject, actor_id: str = "") -> datetime:
        """When what an object says was last seen; where it does not say, when it was said first.

        A relationship that stands in a report is said again on the day that is published.
        """
        seen = [_when(item, "last_seen", "stop_time", "first_seen", "start_time", "published")]
        campaign = self.objects.get(actor_id)
        if campaign is not None and campaign.type == "campaign":
            seen.append(_when(campaign, "last_seen", "first_seen"))
        seen += [_when(report, "published") for report in self._reports_of.get(item.id, ())]
        best = max(seen)
        return best if best > UNDATED else _when(item, "created", "modified")

    def source(self, item: IntelObject, name: str, *others: str) -> tuple[SourceRef, ...]:
        """The object as a source, once for each feed that delivered it.

        Its marking is the tightest of its own and those of ``others``, objects that it speaks of.
        """
        marks = [item.tlp, *(self.objects[i].tlp for i in others if i in self.objects)]
        stamp = moment(item.version)
        if stamp == UNDATED:
            stamp = moment(item.content.get("modified") or item.content.get("created"))
        return tuple(
            SourceRef(
                object_id=item.id,
                object_type=item.type,
                name=name,
                feed=feed,
                tlp=tightest(marks, item.tlp),
                modified=stamp,
            )
            for feed in self._feeds(item.id) or ("",)
        )


def _when(item: IntelObject, *names: str) -> datetime:
    """The first of the named times that is there."""
    return next((m for m in (moment(item.content.get(n)) for n in names) if m > UNDATED), UNDATED)


def _newest(objects: Iterable[IntelObject]) -> dict[str, IntelObject]:
    """Each object's newest version, withdrawn objects left out.

    ATT&CK's own revoked techniques stay: their revocation renames them, it does not withdraw what
    is said of them.
    """
    newest: dict[str, IntelObject] = {}
    for item in objects:
        held = newest.get(item.id)
        if held is None or moment(item.version) >= moment(held.version):
            newest[item.id] = item
    kept = (i for i in newest.values() if not i.revoked or i.type == "attack-pattern")
    return {item.id: item for item in sorted(kept, key=lambda item: item.id)}
