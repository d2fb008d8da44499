"""Detections as scheduled analytics rules of Sentinel, off until an operator turns them on.

API: https://learn.microsoft.com/rest/api/securityinsights/alert-rules (2024-09-01). A rule carries
our mark in its description: the hash of what was written, by which a change there is seen. The
switch is the operators': a rule starts off, and is only ever turned off from here.
"""

import json
import re
from collections.abc import Mapping

from sigma.rule import SigmaRule
from typing_extensions import override

from huntonce.connectors.siem.deploying import Document, MarkedRules, whole_rule
from huntonce.connectors.siem.sentinel.settings import SentinelSettings
from huntonce.connectors.siem.sentinel.siem import SentinelSiem
from huntonce.connectors.siem.sentinel.translating import translate
from huntonce.connectors.siem.sentinel.workspace import ConflictError, GoneError, Workspace
from huntonce.connectors.siem.session import terminal
from huntonce.connectors.sigma.rules import parse_rule
from huntonce.models.ids import digest

VERSION = "2024-09-01"
"""Of the management API."""

_MAX_RULES = 10_000
_MAX_TITLE = 200
_MARK = re.compile(r"\nhuntonce (deployed|retired) ([0-9a-f]{32,64})\Z")
_OWN = ("displayName", "severity", "query", "queryFrequency", "queryPeriod", "triggerOperator",
        "triggerThreshold", "techniques")  # fmt: skip
_TECHNIQUE = re.compile(r"t([0-9]{4})(?:\.[0-9]{3})?")
_SEVERITIES = {"informational": "Informational", "low": "Low", "medium": "Medium"}


class SentinelRules(MarkedRules[Document]):
    """The scheduled rules of a workspace.

    Args:
        settings: Of the workspace; ``rules_index`` says where it is for the management API.
        name: Registered name.
    """

    def __init__(self, settings: SentinelSettings, name: str = "sentinel") -> None:
        super().__init__(name, _MARK)
        self._settings = settings
        self._workspace = Workspace(name, settings)
        self._siem = SentinelSiem(settings, name)
        provider = "/providers/Microsoft.OperationalInsights/workspaces/"
        place = settings.rules_index.replace("/workspaces/", provider)
        self._path = f"{place}/providers/Microsoft.SecurityInsights/alertRules"

    def close(self) -> None:
        """Close the connections."""
        self._workspace.close()
        self._siem.close()

    # ------------------------------------------------------------ inside

    @override
    def _content(self, rule_id: str, detection: Mapping[str, object]) -> Document:
        rule = whole_rule(self._name, rule_id, detection)
        minutes = self._settings.rules_minutes
        with terminal(self._name, f"rule {rule_id}"):
            parsed = parse_rule(rule)
        level = parsed.level.name.lower() if parsed.level is not None else "medium"
        title = str(detection.get("title") or parsed.title or rule_id)
        return {
            "displayName": " ".join(title.split())[:_MAX_TITLE] or rule_id,
            "severity": _SEVERITIES.get(level, "High"),
            "query": translate(self._name, rule, self._siem.tables(), minutes),
            "queryFrequency": f"PT{minutes}M",
            # What comes in late is older than the last run: the query looks at the arrival.
            "queryPeriod": f"PT{min(1_440, 2 * minutes)}M",
            "triggerOperator": "GreaterThan",
            "triggerThreshold": 0,
            "techniques": _techniques(parsed),
            "suppressionDuration": "PT5H",
            "suppressionEnabled": False,
        }

    @override
    def _put(self, rule_id: str, held: Document | None, content: Document, *, there: bool) -> bool:
        on = held is not None and there and self._is_on(held)
        return self._write(rule_id, held, {**content, "enabled": on}, "deployed")

    @override
    def _put_off(self, rule_id: str, held: Document) -> bool:
        own = held["properties"]
        kept = {name: own[name] for name in (*_OWN, "suppressionDuration",
                "suppressionEnabled") if name in own}  # fmt: skip
        return self._write(rule_id, held, {**kept, "enabled": False}, "retired")

    @override
    def _described(self, rule: Document) -> object:
        return rule["properties"].get("description")

    @override
    def _is_on(self, rule: Document) -> bool:
        return bool(rule["properties"].get("enabled"))

    @override
    def _hash(self, rule: Document) -> str:
        return self._hash_of(rule["properties"])

    @override
    def _hash_of(self, content: Document) -> str:
        own = {name: content.get(name) for name in _OWN}
        own["techniques"] = sorted(own["techniques"] or ())
        return digest(json.dumps(own, sort_keys=True, ensure_ascii=False))

    def _write(self, rule_id: str, held: Document | None, content: Document, state: str) -> bool:
        told = f"Deployed by huntonce as rule {rule_id}.\nhuntonce {state} {self._hash_of(content)}"
        body: Document = {"kind": "Scheduled", "properties": {**content, "description": told}}
        if held is not None:
            body["etag"] = held.get("etag")
        try:
            self._workspace.manage("PUT", f"{self._path}/{rule_id}", VERSION, body)
        except ConflictError:
            return False
        return True

    @override
    def _get(self, rule_id: str) -> Document | None:
        try:
            found = self._workspace.manage("GET", f"{self._path}/{rule_id}", VERSION)
        except GoneError as error:
            if ": 404 NotFound" in str(error):  # of the rule; a place has another code
                return None
            raise
        if found.get("kind") != "Scheduled" or not isinstance(found.get("properties"), dict):
            raise self._wrong(f"rule {rule_id} is no scheduled rule")
        return found

    @override
    def _all(self) -> list[tuple[str, Document]]:
        found: list[tuple[str, Document]] = []
        path = self._path
        while path and len(found) < _MAX_RULES:
            page = self._workspace.manage("GET", path, VERSION)
            some = [one for one in page.get("value", ()) if one.get("kind") == "Scheduled"]
            found += [(str(one["name"]), one) for one in some]
            path = str(page.get("nextLink") or "")
            if path and not path.startswith(f"{self._settings.management_url}/"):
                raise self._wrong("the service names a next page on another host")
        return found


def _techniques(rule: SigmaRule) -> list[str]:
    found = (
        _TECHNIQUE.fullmatch(tag.name.lower()) for tag in rule.tags if tag.namespace == "attack"
    )
    return sorted({f"T{one[1]}" for one in found if one})
