"""The saved searches of the stand-in for Splunk, and what such a search finds.

Requests and answers as Splunk documents them (saved/searches and saved/searches/{name}):
https://docs.splunk.com/Documentation/Splunk/9.4.0/RESTREF/RESTsearch
The search command: it minds no case, ``*`` in a value is any text, OR binds closer than AND, and
NOT is also true of events without the field.
https://help.splunk.com/en/splunk-enterprise/spl-search-reference (search)
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from werkzeug import Request, Response

from tests.support.desks.server import answer
from tests.support.splunk_tokens import SplError, tokens

_SWITCHES = frozenset({"disabled", "is_scheduled", "alert.track"})
_KNOWN = _SWITCHES | {
    *("search", "description", "cron_schedule", "dispatch.earliest_time", "dispatch.latest_time"),
    *("alert_type", "alert_comparator", "alert_threshold", "alert.severity"),
}
_DEFAULTS: dict[str, Any] = {"disabled": False, "is_scheduled": False, "alert.track": False}
_PAGING = frozenset({"output_mode", "count", "offset", "sort_key", "search"})
_CRON = re.compile(r"(\*(/\d+)?|\d+) \* \* \* \*")
Test = Callable[[Mapping[str, str]], bool]


def _message(text: str, status: int) -> Response:
    return answer({"messages": [{"type": "ERROR", "text": f"In handler 'savedsearch': {text}"}]},
                  status)  # fmt: skip


@dataclass
class SavedSearches:
    """Saved searches of one app, by name; ``before_write`` runs before the next write."""

    app: str = "search"
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    shared: dict[str, dict[str, Any]] = field(default_factory=dict)
    before_write: Callable[[], None] | None = None
    writes: list[dict[str, str]] = field(default_factory=list)

    def handle(self, request: Request, found: re.Match[str]) -> Response:
        """The answer to any request below saved/searches."""
        if found["app"] != self.app:
            text = f"Application does not exist: {found['app']}"
            return answer({"messages": [{"type": "ERROR", "text": text}]}, 404)
        if request.method == "GET":
            return self._read(request, found["name"])
        form = request.form.to_dict()
        if request.mimetype != "application/x-www-form-urlencoded" or request.args:
            return _message("a form is wanted", 400)
        if form.pop("output_mode", "") != "json":
            return _message("output_mode", 400)
        if self.before_write is not None:
            ready, self.before_write = self.before_write, None
            ready()
        return self._write(form, found["name"])

    def _read(self, request: Request, name: str | None) -> Response:
        everything = {**self.shared, **self.held}
        if name is not None:
            if request.args.to_dict() != {"output_mode": "json"}:
                return _message("arguments", 400)
            if name not in everything:
                return _message(f"Could not find object id={name}", 404)
            return answer({"entry": [self._entry(name)]})
        if set(request.args) != _PAGING or request.args["sort_key"] != "name":
            return _message("arguments", 400)
        pattern = request.args["search"].removeprefix("name=")
        names = [one for one in sorted(everything) if fnmatchcase(one, pattern)]
        start, count = int(request.args["offset"]), int(request.args["count"])
        entries = [self._entry(one) for one in names[start : start + count]]
        paging = {"total": len(names), "perPage": count, "offset": start}
        return answer({"entry": entries, "paging": paging})

    def _entry(self, name: str) -> dict[str, Any]:
        ours = name in self.held
        return {
            "name": name,
            "acl": {"app": self.app if ours else "other", "owner": "nobody", "sharing": "app"},
            "content": self.held[name] if ours else self.shared[name],
        }

    def _write(self, form: dict[str, str], name: str | None) -> Response:
        new = name is None
        if new:
            name = form.pop("name", "")
            if not name or not form.get("search"):
                return _message("The following required arguments are missing: name, search.", 400)
            if name in self.held:
                text = f"Unable to create saved search with name '{name}'. A saved search with"
                return _message(f"{text} that name already exists.", 409)
        elif name not in self.held:
            return _message(f"Could not find object id={name}", 404)
        if fault := _fault(form):
            return _message(fault, 400)
        self.writes.append({"name": str(name), **form})
        given = {key: value == "1" if key in _SWITCHES else value for key, value in form.items()}
        self.held[str(name)] = {**(_DEFAULTS if new else self.held[str(name)]), **given}
        return answer({"entry": [self._entry(str(name))]}, 201 if new else 200)


def _fault(form: dict[str, str]) -> str:
    """What is wrong with the arguments; empty where nothing is."""
    if not set(form) <= _KNOWN:
        return f"Argument {min(set(form) - _KNOWN)!r} is not supported by this handler."
    if any(form[one] not in {"0", "1"} for one in _SWITCHES & set(form)):
        return "a switch is 0 or 1"
    if "cron_schedule" in form and not _CRON.fullmatch(form["cron_schedule"]):
        return f'Invalid cron_schedule="{form["cron_schedule"]}"'
    try:
        if "search" in form:
            Filter(form["search"])
    except SplError as error:
        return f"Error in 'search': {error}"
    return ""


class Filter:
    """A search without commands, read; ``__call__`` says whether it finds an event's fields."""

    def __init__(self, search: str) -> None:
        self._tokens = tokens(search)
        self._at = 0
        self.tests: list[tuple[str, str]] = []
        self._keep = self._and()
        if self._at != len(self._tokens):
            raise SplError(f"left over: {self._tokens[self._at :][:3]}")

    def __call__(self, fields: Mapping[str, str]) -> bool:
        return self._keep(fields)

    def _and(self) -> Test:
        found = [self._or()]
        while self._at < len(self._tokens) and self._tokens[self._at] != ("sign", ")"):
            found.append(self._or())
        return lambda row: all(one(row) for one in found)

    def _or(self) -> Test:
        found = [self._not()]
        while self._take("word", "OR"):
            found.append(self._not())
        return lambda row: any(one(row) for one in found)

    def _not(self) -> Test:
        if self._take("word", "NOT"):
            inner = self._not()
            return lambda row: not inner(row)
        if self._take("sign", "("):
            found = self._and()
            self._sign(")")
            return found
        name = self._next("word")
        if name in {"_index_earliest", "_index_latest"}:
            self._moment()
            return lambda _: True
        if self._take("word", "IN"):
            self._sign("(")
            tests = [self._value(name)]
            while self._take("sign", ","):
                tests.append(self._value(name))
            self._sign(")")
            return lambda row: any(one(row) for one in tests)
        self._sign("=")
        return self._value(name)

    def _value(self, name: str) -> Test:
        if self._take("sign", "*"):
            self.tests.append((name, "*"))
            return lambda row: name in row
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")
        if kind not in {"text", "number"}:
            raise SplError(f"a value of {name} is missing")
        self._at += 1
        self.tests.append((name, text))
        pattern = re.compile(re.escape(text).replace(r"\*", ".*"), re.IGNORECASE | re.DOTALL)
        return lambda row: name in row and pattern.fullmatch(row[name]) is not None

    def _moment(self) -> None:
        self._sign("=")
        if self._take("sign", "-"):
            self._next("number")
            self._next("word")
        self._sign("@")
        self._next("word")

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _sign(self, text: str) -> None:
        if not self._take("sign", text):
            raise SplError(f"{text!r} is missing at {self._tokens[self._at : self._at + 3]}")

    def _next(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise SplError(f"a {kind} is missing at {self._tokens[self._at : self._at + 3]}")
        self._at += 1
        return self._tokens[self._at - 1][1]
