"""The sweep over a SIEM that searches for itself: one search a rule."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from huntonce.connectors.siem.sweep.hits import SCHEMA
from huntonce.connectors.siem.sweep.report import BlindRule, RuleHits, SweepReport, gravity
from huntonce.connectors.sigma.pack import CompiledRule, RulePack, Unsupported
from huntonce.connectors.sigma.packcache import rule_files
from huntonce.connectors.sigma.rules import load_documents
from huntonce.models.errors import DomainError, TerminalError
from huntonce.models.ports import Siem
from huntonce.models.query import SearchResult
from huntonce.models.windows import Window


def sweep_by_search(
    siem: Siem, paths: Sequence[Path], pack: RulePack, window: Window | None
) -> SweepReport:
    """Every rule of the pack through the SIEM's own search; correlations are set aside.

    Raises:
        ConfigError: A path does not exist.
        TransientError: The SIEM could not be reached.
    """
    started = time.monotonic()
    asked = window or siem.extent()
    texts = rule_texts(paths)
    unsupported = list(pack.unsupported)
    unsupported += [
        Unsupported(
            id=rule.id, title=rule.title, source=rule.source,
            reason=f"correlations are run over the lake only, not over {siem.name}",
        )
        for rule in pack.correlations
    ]  # fmt: skip
    hits: list[RuleHits] = []
    blind: list[BlindRule] = []
    evaluated = 0
    for rule in pack.rules:
        if asked is None:
            break
        if rule.filters:
            unsupported.append(_refused(rule, "filters in other files work on the lake only"))
            continue
        text = texts.get((rule.source, rule.id))
        if text is None:
            unsupported.append(_refused(rule, "its file was changed while it was read"))
            continue
        try:
            result = siem.search_rule(text, asked)
        except TerminalError as error:
            unsupported.append(_refused(rule, str(error)))
            continue
        evaluated += 1
        if result.truncated:
            reason = f"more events match than the {len(result.table)} that {siem.name} returned"
            unsupported.append(_refused(rule, reason))
        if len(result.table):
            hits.append(_hits(rule, result))
        elif result.absent_source or result.absent_fields:
            blind.append(_blind(rule, result))
    return SweepReport(
        rules=pack.found,
        evaluated=evaluated,
        events=None,
        scanned=None,
        unsupported=tuple(unsupported),
        blind=tuple(blind),
        hits=tuple(sorted(hits, key=gravity)),
        seconds=time.monotonic() - started,
    )


def rule_texts(paths: Sequence[Path]) -> dict[tuple[str, str], str]:
    """Each rule's source and id (its source where it has none) to the rule by itself as YAML."""
    texts: dict[tuple[str, str], str] = {}
    for file in rule_files(paths):
        try:
            documents = load_documents(Path(file.path).read_text(encoding="utf-8-sig"))
        except (UnicodeDecodeError, DomainError, OSError):
            continue  # the pack has said so
        for document in documents:
            if isinstance(document, dict) and "detection" in document:
                text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
                texts.setdefault((file.source, _id(document) or file.source), text)
    return texts


def _id(document: Mapping[str, object]) -> str:
    """A rule's id as pySigma reads it: a UUID has more than one spelling."""
    written = str(document.get("id") or "")
    try:
        return str(UUID(written))
    except ValueError:
        return written


def _refused(rule: CompiledRule, reason: str) -> Unsupported:
    return Unsupported(id=rule.id, title=rule.title, source=rule.source, reason=reason)


def _hits(rule: CompiledRule, result: SearchResult) -> RuleHits:
    found = result.table
    columns = {name: found.column(name) for name in found.column_names}
    empty = pa.nulls(len(found), pa.string())
    table = pa.table(
        [
            columns.get(name, pa.repeat(0, len(found)) if name == "file" else empty)
            for name in SCHEMA.names
        ],
        SCHEMA.names,
    )
    for at, field in enumerate(SCHEMA):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(at, field.name, pc.dictionary_encode(table.column(at)))
    return RuleHits(
        id=rule.id,
        title=rule.title,
        level=rule.level,
        author=rule.author,
        count=len(found),
        table=table.cast(SCHEMA),
    )


def _blind(rule: CompiledRule, result: SearchResult) -> BlindRule:
    sources = tuple(place.channel or "any channel" for place in rule.places)
    reason = "no event of its log source" if result.absent_source else "fields that no event has"
    return BlindRule(
        id=rule.id,
        title=rule.title,
        level=rule.level,
        sources=sources,
        fields=result.absent_fields,
        reason=reason,
        partly=False,
    )
