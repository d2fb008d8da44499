"""Every Sigma rule found under some paths, compiled: what can be run, and why the rest cannot."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from huntonce.connectors.sigma.correlations import CorrelationRule, resolved
from huntonce.connectors.sigma.ir import And, Condition, Named, Not, Or, decode
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.models.errors import DomainError

LogSource = tuple[str, str, str]
"""Category, product, service; empty where a rule names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """A rule that is not run, and why."""

    id: str
    title: str
    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CompiledRule:
    """A rule that can be run.

    Attributes:
        fingerprint: Hash of what it searches for; title, level and author do not count.
        source: Where it was read, below the path that was given.
        form: JSON form of its condition, see ``ir``; decoded when it is needed.
        filters: JSON forms of the conditions that Sigma filters add.
    """

    id: str
    name: str
    title: str
    level: str
    author: str
    source: str
    logsource: LogSource
    form: str
    filters: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        content = "\n".join((*self.logsource, self.form, *self.filters))
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    @cached_property
    def condition(self) -> Condition:
        """What it matches, its filters included."""
        own = decode(orjson.loads(self.form))
        if not self.filters:
            return own
        return And((own, *(_unnamed(decode(orjson.loads(form))) for form in self.filters)))

    @property
    def places(self) -> tuple[Variant, ...]:
        """Where its events are recorded."""
        return _places(self.logsource)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePack:
    """What was found under the paths.

    Attributes:
        rules: In the order of their files.
        correlations: One that others refer to stands before them.
        files: Number of files read or known.
        found: Number of rules and correlations found, whether they can be run or not.
    """

    rules: tuple[CompiledRule, ...]
    correlations: tuple[CorrelationRule, ...]
    unsupported: tuple[Unsupported, ...]
    files: int
    found: int


def assemble(documents: Iterable[Mapping[str, Any]], files: int) -> RulePack:
    """A pack of compiled documents (``reading.compile_text``), filters applied, ids unique."""
    parts = _Parts()
    for document in documents:
        parts.add(document)
    parts.apply_filters()
    parts.resolve_correlations()
    return RulePack(
        rules=tuple(parts.rules.values()),
        correlations=tuple(parts.resolved.values()),
        unsupported=tuple(parts.unsupported),
        files=files,
        found=parts.found,
    )


@dataclass(slots=True)
class _Parts:
    rules: dict[str, CompiledRule] = field(default_factory=dict)
    filters: list[Mapping[str, Any]] = field(default_factory=list)
    correlations: list[Mapping[str, Any]] = field(default_factory=list)
    resolved: dict[str, CorrelationRule] = field(default_factory=dict)
    unsupported: list[Unsupported] = field(default_factory=list)
    found: int = 0

    def add(self, document: Mapping[str, Any]) -> None:
        kind = document["kind"]
        if kind == "filter":
            self.filters.append(document)
            return
        self.found += 1
        if kind == "fault":
            self.refuse(document, document["reason"])
        elif kind == "correlation":
            self.correlations.append(document)
        else:
            self._rule(document)

    def _rule(self, document: Mapping[str, Any]) -> None:
        rule = _compiled(document)
        try:
            places = rule.places
        except DomainError as error:
            self.refuse(document, str(error))
            return
        if not places:
            product = rule.logsource[1] or rule.logsource[0] or rule.logsource[2]
            self.refuse(document, f"its log source {product!r} is not Windows")
            return
        held = self.rules.get(rule.id)
        if held is None:
            self.rules[rule.id] = rule
        elif held.fingerprint != rule.fingerprint:
            self.refuse(document, f"another rule has its id: {held.source}")
        else:
            self.found -= 1

    def refuse(self, document: Mapping[str, Any], reason: str) -> None:
        self.unsupported.append(
            Unsupported(
                id=document["id"],
                title=document["title"],
                source=document["source"],
                reason=reason,
            )
        )

    def apply_filters(self) -> None:
        for document in self.filters:
            target, source = document["rules"], tuple(document["logsource"])
            hit = False
            for rule in self.rules.values():
                if (target is None or rule.id in target or rule.name in target) and _contains(
                    source, rule.logsource
                ):
                    hit = True
                    filters = (*rule.filters, document["form"])
                    self.rules[rule.id] = _with_filters(rule, filters)
            if not hit and target is not None:
                self.refuse(document, "the filter's rules are not among those loaded")

    def resolve_correlations(self) -> None:
        """Make the correlations of which every rule is there; the others are refused."""
        by_name = {rule.name: rule.id for rule in self.rules.values() if rule.name}
        for document in self.correlations:
            by_name.setdefault(document["name"], document["id"])
        waiting = {document["id"]: document for document in self.correlations}
        for document in self.correlations:
            if waiting.get(document["id"]) is not document:
                self.refuse(document, "another correlation has its id")
        while ready := {
            key: document
            for key, document in waiting.items()
            if not any(by_name.get(name, name) in waiting for name in document["rules"])
        }:
            for key, document in ready.items():
                del waiting[key]
                made = self._correlation(document, by_name)
                if made is not None:
                    self.resolved[key] = made
        for document in waiting.values():
            self.refuse(document, "it refers to itself by way of the correlations it names")

    def _correlation(
        self, document: Mapping[str, Any], by_name: Mapping[str, str]
    ) -> CorrelationRule | None:
        ids: dict[str, str] = {}
        for reference in document["rules"]:
            found = next(
                (
                    known
                    for known in (reference, by_name.get(reference, ""))
                    if known in self.rules or known in self.resolved
                ),
                None,
            )
            if found is None:
                reason = f"the rule {reference!r} is not among those loaded or cannot be run"
                self.refuse(document, reason)
                return None
            ids[reference] = found
        return CorrelationRule(
            **{key: document[key] for key in ("id", "title", "level", "author", "source")},
            kind=document["type"],
            rules=tuple(dict.fromkeys(ids.values())),
            group_by=tuple(document["group_by"]),
            seconds=document["seconds"],
            operator=document["operator"],
            count=document["count"],
            counted=tuple(document["counted"]),
            percentile=document["percentile"],
            expression=resolved(document["expression"], ids),
            aliases={
                alias: {ids.get(rule, by_name.get(rule, rule)): name
                        for rule, name in mapping.items()}
                for alias, mapping in document["aliases"].items()
            },
            generate=document["generate"],
        )  # fmt: skip


def _compiled(document: Mapping[str, Any]) -> CompiledRule:
    return CompiledRule(
        id=document["id"],
        name=document["name"],
        title=document["title"],
        level=document["level"],
        author=document["author"],
        source=document["source"],
        logsource=tuple(document["logsource"]),
        form=document["form"],
    )


def _with_filters(rule: CompiledRule, filters: Sequence[str]) -> CompiledRule:
    return CompiledRule(
        id=rule.id,
        name=rule.name,
        title=rule.title,
        level=rule.level,
        author=rule.author,
        source=rule.source,
        logsource=rule.logsource,
        form=rule.form,
        filters=tuple(filters),
    )


def _contains(wide: tuple[str, ...], narrow: LogSource) -> bool:
    """Whether a filter's log source covers a rule's: what it leaves open may be anything."""
    return all(not mine or mine == other for mine, other in zip(wide, narrow, strict=True))


def _unnamed(condition: Condition) -> Condition:
    """Without the names of selections: a filter's are no branches of the rule."""
    match condition:
        case Named(_, item):
            return _unnamed(item)
        case And(items):
            return And(tuple(_unnamed(item) for item in items))
        case Or(items):
            return Or(tuple(_unnamed(item) for item in items))
        case Not(item):
            return Not(_unnamed(item))
        case _:
            return condition


_PLACES: dict[LogSource, tuple[Variant, ...]] = {}


def _places(logsource: LogSource) -> tuple[Variant, ...]:
    found = _PLACES.get(logsource)
    if found is None:
        category, product, service = logsource
        found = variants({"category": category, "product": product, "service": service})
        if len(_PLACES) < 10_000:  # noqa: PLR2004 - rules are hostile; log sources are few
            _PLACES[logsource] = found
    return found
