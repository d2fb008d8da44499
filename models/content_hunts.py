"""Hunt files and allow files: what their parts must be to each other, beyond the schema."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import yaml

from huntonce.models.analytics import context, tasks
from huntonce.models.analytics.events import facts_of, fields_of
from huntonce.models.analytics.questions import check, facts_named
from huntonce.models.analytics.records import pattern
from huntonce.models.analytics.views import read_rule, view
from huntonce.models.content_files import PlacedError, at
from huntonce.models.detecting import met
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import (
    AllowEntry,
    AnalyticSpec,
    Baseline,
    DetectionTemplate,
    HuntDefinition,
    HuntSearch,
    Merge,
)
from huntonce.models.hunting import placeholders
from huntonce.models.ids import stable_uuid

TASKS, EVENTS = "scheduled_task", "event"
RECORDS = (EVENTS, TASKS)
"""The kinds of record that a hunt may be about."""
_SIMPLE = (
    "name", "id", "version", "title", "scope", "hypothesis", "evidence", "records", "abnormal",
    "malicious_at", "suspicious_at", "author", "entity", "baseline",
)  # fmt: skip


def hunt_of(data: Any) -> HuntDefinition:  # noqa: ANN401 - checked against the schema
    """A definition from a document that the schema allows.

    Raises:
        PlacedError: Its parts do not fit each other; says where.
    """
    analytics = tuple(AnalyticSpec(**item) for item in data["analytics"])
    allow = tuple(_entry(item) for item in data.get("allow", ()))
    if data["records"] not in RECORDS:
        known = ", ".join(RECORDS)
        raise PlacedError("records", f"unknown kind {data['records']!r}, known are {known}")
    searches = tuple(_search(item, data["records"]) for item in data["searches"])
    merge = tuple(
        Merge(
            by=tuple(item["by"]),
            within=item.get("within", 60),
            gather=tuple(item.get("gather", ())),
        )
        for item in data.get("merge", ())
    )
    detections = tuple(
        DetectionTemplate(
            **{
                **item,
                "needs": tuple(item["needs"]),
                "falsepositives": tuple(item["falsepositives"]),
            }
        )
        for item in data.get("detections", ())
    )
    parts: dict[str, Any] = {
        key: tuple(data.get(key, ())) for key in ("references", "triage", "context")
    }
    definition = HuntDefinition(
        **{name: data[name] for name in _SIMPLE if name in data},
        **parts,
        techniques=tuple(data["techniques"]),
        cluster=tuple(data.get("cluster", ("action",))),
        searches=searches,
        analytics=analytics,
        allow=allow,
        merge=merge,
        detections=detections,
    )
    _check(definition)
    return definition


def _search(item: Mapping[str, Any], records: str) -> HuntSearch:
    with at(f"searches/{item['name']}"):
        if records == TASKS:
            for key in ("as", "facts"):
                if key in item:
                    raise DomainError(f"{key!r} is for records of the kind {EVENTS}")
        view(item.get("as", "event"))
        facts = {name: read_rule(told) for name, told in item.get("facts", {}).items()}
        for rule in facts.values():
            pattern(rule.match)
        made = HuntSearch(
            name=item["name"],
            logsource=item["logsource"],
            detection=item["detection"],
            fields=tuple(item.get("fields", ())),
            view=item.get("as", "event" if records == EVENTS else ""),
            facts=facts,
            role=item.get("role", ""),
        )
    if records == TASKS:
        return made
    return HuntSearch(
        name=made.name, logsource=made.logsource, detection=made.detection,
        fields=fields_of(made), view=made.view, facts=facts, role=made.role,
    )  # fmt: skip


def _entry(item: Mapping[str, Any]) -> AllowEntry:
    return AllowEntry(**{**item, "hunts": tuple(item.get("hunts", ()))})


def _check(definition: HuntDefinition) -> None:
    for part in ("searches", "analytics", "detections", "allow"):
        names = [item.name for item in getattr(definition, part)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PlacedError(part, f"two are called {twice[0]!r}")
    for spec in definition.analytics:
        with at(f"analytics/{spec.name}"):
            check(spec)
            placeholders(spec.why)
    for entry in definition.allow:
        check_entry(entry, f"allow/{entry.name}")
    for asked in definition.context:
        if asked not in context.PARTS:
            raise PlacedError("context", f"unknown part {asked!r}, use {', '.join(context.PARTS)}")
    if definition.records == EVENTS and not definition.entity:
        raise PlacedError("entity", "a hunt over events says what a record is about")
    _check_facts(definition)
    _check_needs(definition)


def check_entry(entry: AllowEntry, place: str) -> None:
    """Nothing, where an allow entry can be applied.

    Raises:
        PlacedError: A pattern or its date is none; says so of ``place``.
    """
    with at(place):
        for expression in entry.when.values():
            pattern(expression)
        if entry.expires:
            date.fromisoformat(entry.expires)


def known_facts(definition: HuntDefinition) -> frozenset[str]:
    """Names of the facts that records of a hunt may have."""
    if definition.records == TASKS:
        return tasks.FACTS | context.LOGON_FACTS
    told = [facts_of(search) for search in definition.searches]
    counted = {f"n_{name}" for merge in definition.merge for name in merge.gather}
    return frozenset().union(*told, counted, context.FACTS, context.LOGON_FACTS)


def _check_facts(definition: HuntDefinition) -> None:
    """A misspelt fact would never match, and nobody would notice."""
    known = known_facts(definition)
    used = [(f"analytics/{s.name}", facts_named(s)) for s in definition.analytics]
    used += [(f"allow/{entry.name}", frozenset(entry.when)) for entry in definition.allow]
    used += [("merge", frozenset((*merge.by, *merge.gather))) for merge in definition.merge]
    used.append(("cluster", frozenset(definition.cluster)))
    for place, named in used:
        strange = sorted(named - known)
        if strange:
            raise PlacedError(
                place, f"no fact is called {strange[0]!r}; there are {', '.join(sorted(known))}"
            )


def _check_needs(definition: HuntDefinition) -> None:
    fired = {spec.name for spec in definition.analytics}
    for template in definition.detections:
        for need in template.needs:
            if not met(need, fired):
                place = f"detections/{template.name}"
                raise PlacedError(place, f"no analytic is called {need!r}: never met")


# ------------------------------------------------------------------ allow files


def allow_of(data: Any) -> tuple[tuple[AllowEntry, ...], tuple[Baseline, ...]]:  # noqa: ANN401 - as above
    """Allow entries and baselines from a document that the schema allows.

    Raises:
        PlacedError: A pattern or a date is none, or a baseline has no span.
    """
    entries = tuple(_entry(item) for item in data.get("allow", ()))
    for entry in entries:
        check_entry(entry, f"allow/{entry.name}")
    return entries, tuple(_baseline(item) for item in data.get("baselines", ()))


def _baseline(item: Mapping[str, Any]) -> Baseline:
    with at(f"baselines/{item['name']}"):
        start, end = (_moment(item.get(key)) for key in ("start", "end"))
        days = float(item.get("days", 0))
        if bool(start and end) == bool(days):
            raise DomainError("give either start and end, or days")
        if start and end and start >= end:
            raise DomainError("it ends before it starts")
        if item.get("expires"):
            date.fromisoformat(item["expires"])
        return Baseline(
            name=item["name"], owner=item["owner"], reason=item["reason"], start=start, end=end,
            days=days, expires=item.get("expires", ""),
        )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# ------------------------------------------------------------------ places in a file


def line_of(text: str, place: str) -> int | None:
    """The line of a place such as ``analytics/odd/options`` in a YAML text; None where unknown.

    A step is a key, a position in a list, or the ``name`` of what the list holds.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    found: yaml.Node | None = None
    for step in place.split("/"):
        following = _step(node, step)
        if following is None:
            break
        node = found = following
    return found.start_mark.line + 1 if found is not None else None


def _step(node: yaml.Node | None, step: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return _value(node, step)
    if isinstance(node, yaml.SequenceNode):
        if step.isdecimal() and int(step) < len(node.value):
            return _node(node.value[int(step)])
        return next((_node(item) for item in node.value if _named(item) == step), None)
    return None


def _node(item: object) -> yaml.Node | None:
    return item if isinstance(item, yaml.Node) else None


def _value(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((_node(value) for name, value in node.value if name.value == key), None)


def _named(item: object) -> str:
    if not isinstance(item, yaml.MappingNode):
        return ""
    name = _value(item, "name")
    return str(name.value) if isinstance(name, yaml.ScalarNode) else ""


def merged_allow(
    hunts: Iterable[HuntDefinition], entries: Sequence[AllowEntry]
) -> tuple[HuntDefinition, ...]:
    """Hunts with the entries of allow files that are for them, after their own."""
    return tuple(
        replace(hunt, allow=(*hunt.allow, *(e for e in entries if hunt.name in e.hunts)))
        for hunt in hunts
    )


# ------------------------------------------------------------------ a new hunt

_NAME = r"[a-z0-9][a-z0-9-]{2,60}"
_SKELETON = """\
# A hunt to begin with. Check it with: huntonce hunts check FILE
name: {name}
id: {id}
version: "1"                     # a change makes earlier verdicts stale
title: {title}
techniques: [{technique}]
scope: windows
hypothesis: >-
  An adversary has used {title} on our Windows endpoints to ...
evidence: {technique}            # technique whose evidence must arrive
records: event                   # each event, or what views and merge put together, is a record
entity: "{{image_name}}"           # what a record is about, with facts filled in
cluster: [plain]                 # facts that are the same in one finding
context: [parent, children, logon]   # asked about what stands out
abnormal: >-
  What would not be there on an ordinary day, and why.
triage:
  - Whom to ask, and where to look next.
searches:
  - name: runs
    as: process                  # view: image, command, plain, parent_name, actor ...
    logsource: {{product: windows, category: process_creation}}
    detection:                   # Sigma; as wide as what the behaviour cannot do without
      selection:
        Image|endswith: \\example.exe
      condition: selection
analytics:                       # each asks one thing; the strongest of a family counts
  - name: odd_parent
    type: matches
    options:
      all: {{parent_name: '^(?:winword|excel)\\.exe$'}}
    weight: 0.5
    family: parent
    why: "{{parent_name}} started it"
  - name: rare
    type: rare
    options: {{key: [plain], hosts: 2, population: 20}}
    weight: 0.15
    family: rarity
    why: on {{rare_hosts}} host(s) only
  - name: usual                  # below zero: what speaks for the ordinary
    type: common
    options: {{key: [plain], hosts: 5, share: 0.04, days: 2}}
    weight: -0.7
    family: usual
    why: the same comes to {{common_hosts}} hosts over days
allow: []                        # name, when (fact: pattern), owner, reason, expires
detections: []                   # the Sigma rule that each pattern becomes
"""


def skeleton(name: str, technique_id: str, title: str) -> str:
    """A commented hunt to begin with, sound as it stands.

    Raises:
        DomainError: The name is none that a hunt may have.
    """
    if pattern(_NAME).fullmatch(name) is None or name != name.casefold():
        raise DomainError(f"{name!r} cannot name a hunt", hint="small letters, digits and hyphens")
    own = str(stable_uuid("hunt", name))
    quoted = yaml.safe_dump(title, width=200).splitlines()[0]
    return _SKELETON.format(name=name, id=own, title=quoted, technique=technique_id)
