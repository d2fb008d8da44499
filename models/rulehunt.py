"""Hunting with a rule pack: a technique without a hunt of its own, by the rules tagged with it.

A rule's level says how much its author trusts it, and that is where a score starts; how rare, how
new and how widespread what it matched is, here, decides whether a person is to look at it. Rules
never make a finding malicious by themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from huntonce.models.analytics.events import occurrence
from huntonce.models.analytics.records import Record, rows
from huntonce.models.finding import Finding
from huntonce.models.huntdef import AnalyticSpec, FactRule, HuntDefinition, HuntSearch
from huntonce.models.ids import stable_uuid
from huntonce.models.rules import RULE_FIELDS, RuleMatches
from huntonce.models.tlp import Tlp, tightest

RECORDS = "rule"
"""Kind of record of such a hunt."""
LEVELS = ("critical", "high", "medium", "low", "informational")
"""Of rules, gravest first."""
_WEIGHTS = {"critical": 0.6, "high": 0.5, "medium": 0.4, "low": 0.2, "informational": 0.1}
SUSPICIOUS_AT = 0.4
"""A medium rule that matched something a fleet does not do every day."""
RULE_IDS = "rule_ids"
"""Fact of a finding: STIX ids of the indicators whose rules matched its events, one a line."""
RULE_TLP = "rule_tlp"
"""Fact of a finding: the tightest marking of those."""
NEVER = 1.0
"""A score that rules alone do not reach."""


def _fact(*fields: str, form: str = "") -> FactRule:
    return FactRule(fields=fields, form=form)


_SEARCH = HuntSearch(
    name="rules",
    logsource={"product": "windows"},
    detection={},
    fields=RULE_FIELDS,
    view="event",
    facts={
        "image": _fact("Image", "SourceImage", form="path"),
        "image_name": _fact("Image", "SourceImage", form="name"),
        "command": _fact("CommandLine"),
        "parent": _fact("ParentImage", form="path"),
        "parent_name": _fact("ParentImage", form="name"),
        "parent_command": _fact("ParentCommandLine"),
        "actor": _fact("User", "SubjectUserName", form="account"),
        "logon_id": _fact("LogonId", "SubjectLogonId", form="lower"),
        "process_guid": _fact("ProcessGuid", form="lower"),
        "parent_guid": _fact("ParentProcessGuid", form="lower"),
        "pid": _fact("ProcessId", form="number"),
        "parent_pid": _fact("ParentProcessId", form="number"),
        "target": _fact("TargetUserName"),
        "file": _fact("TargetFilename", "RelativeTargetName", form="path"),
        "module": _fact("ImageLoaded", form="path"),
        "service": _fact("ServiceName"),
        "remote_address": _fact("IpAddress", form="host"),
        "action": _fact(
            "CommandLine", "ScriptBlockText", "Payload", "ImagePath", "TargetObject",
            "TargetFilename", "ImageLoaded", "PipeName", "TargetImage", "RelativeTargetName",
            "ShareName", "ObjectName", "TaskName", "DestinationHostname", "QueryName",
            "DestinationIp", "TargetUserName", "ServiceName", "Image",
        ),
    },
)  # fmt: skip


def definition_of(technique_id: str, name: str, version: str) -> HuntDefinition:
    """The hunt that a rule pack makes for a technique; ``version`` is that of its rules."""
    return HuntDefinition(
        name=f"rules-{technique_id.lower().replace('.', '-')}",
        id=str(stable_uuid("hunt", "rules", technique_id)),
        version=version,
        title=f"{name}, by the rules tagged with it",
        techniques=(technique_id,),
        scope="windows",
        hypothesis=f"An adversary has used {name} on our Windows endpoints.",
        evidence=technique_id,
        records=RECORDS,
        searches=(_SEARCH,),
        analytics=_analytics(),
        allow=(),
        detections=(),
        abnormal="What a rule of the pack matches and a fleet does not do every day.",
        triage=("Read the rule, and what its author knows to set it off without harm.",),
        malicious_at=NEVER,
        suspicious_at=SUSPICIOUS_AT,
        entity="{rule}",
        cluster=("image_name",),
        context=("parent", "logon"),
    )


def _analytics() -> tuple[AnalyticSpec, ...]:
    levels = [
        AnalyticSpec(
            name=f"level_{level}", type="matches", weight=weight, family="rule",
            why="{rules_told}", options={"all": {"level": f"^{level}$"}},
        )
        for level, weight in _WEIGHTS.items()
    ]  # fmt: skip
    return (
        *levels,
        AnalyticSpec(
            name="several_rules", type="matches", weight=0.2, family="agreement",
            why="{n_rules} rules agree on it",
            options={"all": {"n_rules": "^(?:[2-9]|[0-9]{2,})$"}},
        ),
        AnalyticSpec(
            name="burst", type="burst", weight=0.25, family="spread",
            why="the same on {burst_hosts} hosts within {burst_minutes} minutes",
            options={"key": ["rule", "action"], "hosts": 3, "minutes": 60, "people": False},
        ),
        AnalyticSpec(
            name="remote", type="present", weight=0.15, family="spread",
            why="in a session that came from {remote_from}", options={"fact": "remote_from"},
        ),
        AnalyticSpec(
            name="rare", type="rare", weight=0.1, family="rarity",
            why="on {rare_hosts} host(s) only",
            options={"key": ["rule", "action"], "hosts": 2, "population": 20},
        ),
        AnalyticSpec(
            name="new", type="first_seen", weight=0.15, family="rarity",
            why="no rule saw it in {baseline}", options={"key": ["rule", "action"]},
        ),
        AnalyticSpec(
            name="usual", type="common", weight=-0.7, family="usual",
            why="the same comes to {common_hosts} hosts over days",
            options={"key": ["rule", "image_name"], "hosts": 4, "share": 0.1, "days": 2},
        ),
        AnalyticSpec(
            name="daily", type="many", weight=-0.5, family="usual",
            why="{many_count} times on this host: what is always there is no sign of an intruder",
            options={"by": ["rule", "image_name"], "least": 50, "minutes": 100_000},
        ),
        AnalyticSpec(
            name="administrator", type="privileged_author", weight=-0.2, family="authority",
            why="{actor} administers hosts",
        ),
    )  # fmt: skip


def records_of(matches: Sequence[RuleMatches]) -> list[Record]:
    """One record for each event that a rule matched, whatever number of rules did."""
    held: dict[str, Record] = {}
    ranked = sorted(matches, key=lambda rule: (_rank(rule.level), rule.title))
    for rule in ranked:
        for row in rows(rule.table):
            uid = str(row["uid"])
            record = held.get(uid)
            if record is None:
                record = held[uid] = occurrence(row, _SEARCH)
                record.entity = rule.title
                record.facts.update(
                    rule=rule.title, rule_id=rule.id, level=rule.level or "informational",
                    rules=rule.title, n_rules="1",
                    rules_told=f"{rule.level or 'unrated'} rule: {rule.title}",
                )  # fmt: skip
                if rule.origin is not None:
                    record.facts["rules_told"] += f" ({rule.origin.words})"
            elif rule.title not in record.fact("rules").split("\n"):
                titles = [*record.fact("rules").split("\n"), rule.title]
                record.facts["rules"] = "\n".join(titles)
                record.facts["n_rules"] = str(len(titles))
            if rule.origin is not None:
                record.facts.update(_led(record.facts, rule.origin.ids, rule.origin.tlp))
                record.facts["rule_source"] = rule.origin.words
    return sorted(held.values(), key=lambda record: (record.time, record.host, record.entity))


def corroborated(findings: Iterable[Finding], by_rules: Sequence[Finding]) -> list[Finding]:
    """Findings of a written hunt; those whose events received rules matched, too, say so.

    Their scores stay: others' rules confirm nothing. Their marking is that of the rules, at least.
    """
    told: list[Finding] = []
    for finding in findings:
        events = {ref.uid for ref in finding.events}
        agreeing = [one for one in by_rules if events & {ref.uid for ref in one.core}]
        details, reason = dict(finding.details), finding.reason
        for one in agreeing:
            marking, ids = one.details.get(RULE_TLP), one.details.get(RULE_IDS, "")
            if marking is None:
                continue
            details.update(_led(details, ids.split("\n"), Tlp(marking)))
            reason += f"; {one.details.get('rule', '')} agrees, {one.details['rule_source']}"
        told.append(replace(finding, details=details, reason=reason))
    return told


def _led(held: Mapping[str, str], ids: Iterable[str], tlp: Tlp) -> dict[str, str]:
    """What led to a finding, with more indicators: their ids, and the tightest marking of all."""
    before = held.get(RULE_IDS, "").split("\n")
    levels = [tlp, *([Tlp(held[RULE_TLP])] if RULE_TLP in held else [])]
    return {
        RULE_IDS: "\n".join(dict.fromkeys(one for one in (*before, *ids) if one)),
        RULE_TLP: tightest(levels, tlp).value,
    }


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)
