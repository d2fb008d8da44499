"""Detections as scheduled analytics rules of Sentinel, off until an operator turns them on.

API: https://learn.microsoft.com/rest/api/securityinsights/alert-rules (2024-09-01). A rule carries
our mark in its description: the hash of what was written, by which a change there is seen. The
switch is the operators': a rule starts off, and is only ever turned off from here.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from sigma.rule import SigmaRule

from huntonce.connectors.siem.deploying import is_rule_id, whole_rule
from huntonce.connectors.siem.sentinel.settings import SentinelSettings
from huntonce.connectors.siem.sentinel.siem import SentinelSiem
from huntonce.connectors.siem.sentinel.translating import translate
from huntonce.connectors.siem.sentinel.workspace import ConflictError, GoneError, Workspace
from huntonce.connectors.siem.session import terminal
from huntonce.connectors.sigma.rules import parse_rule
from huntonce.models.detection import HeldRule
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.ids import digest

VERSION = "2024-09-01"
"""Of the management API."""

_TRIES = 3
_MAX_RULES = 10_000
_MAX_TITLE = 200
_MARK = re.compile(r"\nhuntonce (deployed|retired) ([0-9a-f]{32,64})\Z")
_OWN = ("displayName", "severity", "query", "queryFrequency", "queryPeriod", "triggerOperator",
        "triggerThreshold", "techniques")  # fmt: skip
_TECHNIQUE = re.compile(r"t([0-9]{4})(?:\.[0-9]{3})?")
_SEVERITIES = {"informational": "Informational", "low": "Low", "medium": "Medium"}

Document = dict[str, Any]


class SentinelRules:
    """The scheduled rules of a workspace.

    Args:
        settings: Of the workspace; ``rules_index`` says where it is for the management API.
        name: Registered name.
    """

    def __init__(self, settings: SentinelSettings, name: str = "sentinel") -> None:
        self._name = name
        self._settings = settings
        self._workspace = Workspace(name, settings)
        self._siem = SentinelSiem(settings, name)
        provider = "/providers/Microsoft.OperationalInsights/workspaces/"
        place = settings.rules_index.replace("/workspaces/", provider)
        self._path = f"{place}/providers/Microsoft.SecurityInsights/alertRules"

    @property
    def name(self) -> str:
        """Registered name of the store."""
        return self._name

    def close(self) -> None:
        """Close the connections."""
        self._workspace.close()
        self._siem.close()

    def find(self, key: str) -> str | None:
        """The rule's id, where it is there with our mark and not retired."""
        held = self._get(key.lower()) if is_rule_id(key) else None
        return key.lower() if held is not None and _mark(held)[0] == "deployed" else None

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write or renew the rule; returns its id.

        The same content is written once. A new or retired rule is off; one that is there stays
        switched as the operators have it.

        Raises:
            TerminalError: It cannot be translated, or somebody changed or made it there and the
                detection does not say ``overwrite``.
            TransientError: The service did not answer, or somebody else writes it as well.
        """
        rule_id = key.lower()
        if not is_rule_id(key):
            raise self._wrong(f"{key!r} is no UUID")
        content = self._content(rule_id, detection)
        for _ in range(_TRIES):
            held = self._get(rule_id)
            if held is not None and not detection.get("overwrite") and not _untouched(held):
                raise TerminalError(
                    f"rule {rule_id} was changed at {self._name} and is not written over",
                    connector=self._name,
                    hint="look at the change there; undo it, or deploy with --restore",
                )
            there = held is not None and _mark(held)[0] == "deployed"
            if held is not None and there and _same(held, content):
                return rule_id
            enabled = (
                bool(held["properties"].get("enabled")) if held is not None and there else False
            )
            if self._put(rule_id, held, {**content, "enabled": enabled}, "deployed"):
                return rule_id
        raise self._contended(rule_id)

    def retire(self, remote_id: str) -> None:
        """Turn the rule off for good; it stays there, marked.

        Raises:
            TerminalError: There is no such rule of ours.
            TransientError: As ``deploy``.
        """
        for _ in range(_TRIES):
            held = self._get(remote_id.lower()) if is_rule_id(remote_id) else None
            if held is None or not _mark(held)[0]:
                raise self._wrong(f"no rule {remote_id} of ours")
            own = held["properties"]
            if _mark(held)[0] == "retired" and not own.get("enabled"):
                return
            kept = {name: own[name] for name in (*_OWN, "suppressionDuration",
                    "suppressionEnabled") if name in own}  # fmt: skip
            if self._put(remote_id.lower(), held, {**kept, "enabled": False}, "retired"):
                return
        raise self._contended(remote_id)

    def held(self) -> tuple[HeldRule, ...]:
        """Every rule that is there and not retired: its switch, and whether it was touched."""
        deployed = sorted(
            (one for one in self._all() if _mark(one)[0] == "deployed"), key=lambda one: one["name"]
        )
        return tuple(
            HeldRule(
                rule_id=one["name"],
                enabled=bool(one["properties"].get("enabled")),
                untouched=_untouched(one),
            )
            for one in deployed
        )

    # ------------------------------------------------------------ inside

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

    def _put(self, rule_id: str, held: Document | None, content: Document, state: str) -> bool:
        """Whether it was written; not, where somebody else wrote in between."""
        told = f"Deployed by huntonce as rule {rule_id}.\nhuntonce {state} {_hash(content)}"
        body: Document = {"kind": "Scheduled", "properties": {**content, "description": told}}
        if held is not None:
            body["etag"] = held.get("etag")
        try:
            self._workspace.manage("PUT", f"{self._path}/{rule_id}", VERSION, body)
        except ConflictError:
            return False
        return True

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

    def _all(self) -> list[Document]:
        found: list[Document] = []
        path = self._path
        while path and len(found) < _MAX_RULES:
            page = self._workspace.manage("GET", path, VERSION)
            found += [one for one in page.get("value", ()) if one.get("kind") == "Scheduled"]
            path = str(page.get("nextLink") or "")
            if path and not path.startswith(f"{self._settings.management_url}/"):
                raise self._wrong("the service names a next page on another host")
        return found

    def _wrong(self, message: str) -> TerminalError:
        return TerminalError(message, connector=self._name, hint="see huntonce detections")

    def _contended(self, rule_id: str) -> TransientError:
        return TransientError(
            f"rule {rule_id} is being written by somebody else", connector=self._name, hint="repeat"
        )


def _mark(rule: Document) -> tuple[str, str]:
    """State and hash that we wrote; empty for a rule that is not ours."""
    found = _MARK.search(str(rule["properties"].get("description") or ""))
    return (found[1], found[2]) if found else ("", "")


def _untouched(rule: Document) -> bool:
    return _mark(rule)[1] == _hash(rule["properties"])


def _same(rule: Document, content: Document) -> bool:
    return _hash(rule["properties"]) == _hash(content) == _mark(rule)[1]


def _hash(content: Mapping[str, Any]) -> str:
    own = {name: content.get(name) for name in _OWN}
    own["techniques"] = sorted(own["techniques"] or ())
    return digest(json.dumps(own, sort_keys=True, ensure_ascii=False))


def _techniques(rule: SigmaRule) -> list[str]:
    found = (
        _TECHNIQUE.fullmatch(tag.name.lower()) for tag in rule.tags if tag.namespace == "attack"
    )
    return sorted({f"T{one[1]}" for one in found if one})
