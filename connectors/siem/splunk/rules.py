"""Detections as saved searches of Splunk, disabled until an operator enables them.

API: https://docs.splunk.com/Documentation/Splunk/9.4.0/RESTREF/RESTsearch (saved/searches). A
search carries our mark in its description: the hash of what was written, by which a change there
is seen. The switch is the operators': it is written when a search is made or comes back from
retirement, always as off, and in no other update. Splunk has no conditional writes: what somebody
changes between our look and our write is written over.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from huntonce.connectors.siem.deploying import Document, MarkedRules, whole_rule
from huntonce.connectors.siem.session import terminal
from huntonce.connectors.siem.splunk.client import LostError, Splunk, ThereError
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.siem.splunk.translating import translate
from huntonce.connectors.sigma.rules import parse_rule
from huntonce.models.errors import TerminalError
from huntonce.models.ids import digest

PREFIX = "huntonce-"
"""What the name of every search of ours begins with; the rule's id follows."""

_PAGE = 100
_MAX_RULES = 10_000
_MAX_TITLE = 200
_MARK = re.compile(r"\[huntonce (deployed|retired) ([0-9a-f]{32,64})\]\Z")
_SEVERITIES = {"informational": "1", "low": "2", "medium": "3", "high": "4", "critical": "5"}
_OFF = {"disabled": "1"}
_HOURLY = 60

Form = dict[str, str]


class SplunkRules(MarkedRules[Form]):
    """The saved searches of an app.

    Args:
        settings: Of the Splunk; ``rules_index`` says whose searches and in which app.
        name: Registered name.
    """

    def __init__(self, settings: SplunkSettings, name: str = "splunk") -> None:
        super().__init__(name, _MARK)
        self._settings = settings
        self._splunk = Splunk(name, settings)
        self._owner, _, self._app = settings.rules_index.partition("/")
        self._path = f"/servicesNS/{self._owner}/{self._app}/saved/searches"

    def close(self) -> None:
        """Close the connections."""
        self._splunk.close()

    # ------------------------------------------------------------ inside

    @override
    def _content(self, rule_id: str, detection: Mapping[str, object]) -> Form:
        rule = whole_rule(self._name, rule_id, detection)
        with terminal(self._name, f"rule {rule_id}"):
            parsed = parse_rule(rule)
        level = parsed.level.name.lower() if parsed.level is not None else "medium"
        minutes = self._settings.rules_minutes
        title = " ".join(str(detection.get("title") or parsed.title or rule_id).split())
        found = {
            "search": translate(self._name, rule, self._settings),
            "is_scheduled": "1",
            "cron_schedule": "0 * * * *" if minutes == _HOURLY else f"*/{minutes} * * * *",
            # By the time in the events; by the arrival the search itself looks since its last run.
            "dispatch.earliest_time": "-24h@m",
            "dispatch.latest_time": "now",
            "alert_type": "number of events",
            "alert_comparator": "greater than",
            "alert_threshold": "0",
            "alert.severity": _SEVERITIES.get(level, "3"),
            "alert.track": "1",
        }
        return {**found, "description": _told(title[:_MAX_TITLE], "deployed", found)}

    @override
    def _put(self, rule_id: str, held: Document | None, content: Form, *, there: bool) -> bool:
        return self._write(rule_id, content if there else {**content, **_OFF}, new=held is None)

    @override
    def _put_off(self, rule_id: str, held: Document) -> bool:
        told = _told(rule_id, "retired", held)
        return self._write(rule_id, {**_OFF, "description": told}, new=False)

    @override
    def _described(self, rule: Document) -> object:
        return rule.get("description")

    @override
    def _is_on(self, rule: Document) -> bool:
        return _plain(rule.get("disabled")) != "1"

    @override
    def _hash(self, rule: Document) -> str:
        return _hash(rule)

    @override
    def _hash_of(self, content: Form) -> str:
        return _hash(content)

    def _write(self, rule_id: str, form: Form, *, new: bool) -> bool:
        """Whether it was written; not, where it was made or deleted in between."""
        try:
            if new:
                self._splunk.post(self._path, {"name": f"{PREFIX}{rule_id}", **form})
            else:
                self._splunk.post(f"{self._path}/{PREFIX}{rule_id}", form)
        except ThereError:
            return False
        except LostError:
            if new:  # the app, not the search
                raise self._no_place() from None
            return False
        return True

    @override
    def _get(self, rule_id: str) -> Document | None:
        try:
            answer = self._splunk.get(f"{self._path}/{PREFIX}{rule_id}")
        except LostError:
            self._page(0, 1)  # an app that is not there is no absent search
            return None
        found = [one for one in answer.get("entry", ()) if self._is_here(one)]
        return _own(found[0]) if found else None

    @override
    def _all(self) -> list[tuple[str, Document]]:
        found: list[tuple[str, Document]] = []
        for start in range(0, _MAX_RULES, _PAGE):
            page = self._page(start, _PAGE)
            found += [
                (str(one["name"]).removeprefix(PREFIX), _own(one))
                for one in page
                if self._is_here(one) and str(one["name"]).startswith(PREFIX)
            ]
            if len(page) < _PAGE:
                return found
        raise self._wrong(f"there are more than {_MAX_RULES} saved searches of ours")

    def _page(self, start: int, count: int) -> list[Document]:
        wanted = {
            "count": str(count),
            "offset": str(start),
            "sort_key": "name",
            "search": f"name={PREFIX}*",
        }
        try:
            return list(self._splunk.get(self._path, wanted).get("entry", ()))
        except LostError as error:
            raise self._no_place() from error

    def _is_here(self, entry: Document) -> bool:
        """Whether it is of our app: others' shared ones are shown beside them."""
        return bool((entry.get("acl") or {}).get("app") == self._app)

    def _no_place(self) -> TerminalError:
        return TerminalError(
            f"{self._path} is not there",
            connector=self._name,
            hint="check rules_index (OWNER/APP), and that the account may read the app",
        )


_HASHED = ("search", "is_scheduled", "cron_schedule", "dispatch.earliest_time",
           "dispatch.latest_time", "alert_type", "alert_comparator", "alert_threshold",
           "alert.severity", "alert.track")  # fmt: skip


def _own(entry: Document) -> Document:
    found = entry.get("content")
    return found if isinstance(found, dict) else {}


def _told(title: str, state: str, content: Mapping[str, Any]) -> str:
    return f"{title} [huntonce {state} {_hash(content)}]"


def _hash(content: Mapping[str, Any]) -> str:
    own = {name: _plain(content.get(name)) for name in _HASHED}
    return digest(json.dumps(own, sort_keys=True, ensure_ascii=False))


def _plain(value: object) -> str:
    """A value as a form has it: Splunk answers switches and numbers as such, or as texts."""
    if isinstance(value, bool):
        return "1" if value else "0"
    text = str(value if value is not None else "").strip()
    return {"true": "1", "false": "0"}.get(text.lower(), text)
