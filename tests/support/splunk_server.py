"""A stand-in for Splunk's management port: it checks what it is asked, and answers over events.

Requests and answers as Splunk documents them (Splunk itself never ran here):
https://docs.splunk.com/Documentation/Splunk/9.4.0/RESTREF/RESTsearch (search/v2/jobs and below),
https://help.splunk.com/en/splunk-enterprise/leverage-rest-apis/rest-api-tutorials/9.0/rest-api-tutorials/creating-searches-using-the-rest-api
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from huntonce.connectors.siem.lake.shapes import normalise
from tests.support.desks.server import Fake, Handler, answer
from tests.support.splunk_functions import Event
from tests.support.splunk_saved import SavedSearches
from tests.support.splunk_spl import Run
from tests.support.splunk_tokens import SplError

TOKEN = "a-token"
_JOB = r"/services/search/v2/jobs/(?P<sid>[A-Za-z0-9_.]+)"
_SAVED = r"/servicesNS/(?P<owner>[^/]+)/(?P<app>[^/]+)/saved/searches(?:/(?P<name>[^/]+))?"
_NEEDED = frozenset({"search", "id", "exec_mode", "earliest_time", "latest_time", "output_mode"})
_KNOWN = _NEEDED | {
    *("max_time", "max_count", "auto_cancel", "timeout", "allow_partial_results"),
    *("adhoc_search_level", "namespace"),
}


def messages(text: str, status: int, kind: str = "FATAL", **headers: str) -> Response:
    """A fault as Splunk words it."""
    return answer({"messages": [{"type": kind, "text": text}]}, status, **headers)


@dataclass
class Job:
    """A search job."""

    results: list[Event]
    said: list[dict[str, str]]
    looks: int
    finalized: bool = False


@dataclass
class FakeSplunk(Fake):
    """Splunk with events.

    Attributes:
        events: What it holds: ``_raw``, ``_time``, ``index``, ``sourcetype``, ``host``.
        looks: How often a job is looked at before it is done.
        slow_over: Seconds of the longest window that a job does in time.
        said: Messages (type, text) of the next jobs.
        form: Everything that jobs were asked for.
        lose_jobs: So many jobs vanish before their results are read.
    """

    events: list[Event] = field(default_factory=list)
    looks: int = 1
    slow_over: int | None = None
    said: list[tuple[str, str]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    lose_jobs: int = 0
    saved: SavedSearches = field(default_factory=SavedSearches)

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("POST", r"/services/search/v2/jobs", self._create),
            ("GET", _JOB, self._status),
            ("GET", rf"{_JOB}/results", self._results),
            ("POST", rf"{_JOB}/control", self._control),
            ("GET", _SAVED, self.saved.handle),
            ("POST", _SAVED, self.saved.handle),
        ]

    def refuse_login(self) -> Response:
        return messages("call not properly authenticated", 401, "WARN")

    def _create(self, request: Request, _: re.Match[str]) -> Response:
        form = request.form.to_dict()
        if request.mimetype != "application/x-www-form-urlencoded" or request.args:
            return messages("a form is wanted", 400)
        if not set(form) >= _NEEDED or not set(form) <= _KNOWN or form["output_mode"] != "json":
            return messages(f"arguments: {sorted(set(form) ^ _NEEDED)}", 400)
        if form["exec_mode"] != "normal" or form["allow_partial_results"] != "0":
            return messages("In handler 'jobs': invalid exec_mode", 400)
        self.forms.append(form)
        start, end = int(form["earliest_time"]), int(form["latest_time"])
        if end <= start:
            return messages("Invalid latest_time: latest_time must be after earliest_time.", 400)
        inside = [event for event in self.events if start <= float(event["_time"]) < end]
        try:
            found = Run(form["search"], inside).results()
        except SplError as error:
            return messages(f"Error in 'SearchParser': {error}", 400)
        job = Job(found[: int(form["max_count"])], [], self.looks)
        job.said = [{"type": kind, "text": text} for kind, text in self.said]
        job.finalized = self.slow_over is not None and end - start > self.slow_over
        self.jobs[form["id"]] = job
        return answer({"sid": form["id"]}, 201)

    def _status(self, request: Request, found: re.Match[str]) -> Response:
        job = self.jobs.get(found["sid"])
        if job is None or request.args.to_dict() != {"output_mode": "json"}:
            return messages("Unknown sid.", 404)
        job.looks -= 1
        failed = any(one["type"] == "FATAL" for one in job.said)
        done = job.looks < 0
        content = {
            "dispatchState": ("FAILED" if failed else "DONE") if done else "RUNNING",
            "isDone": done,
            "isFailed": failed and done,
            "isFinalized": job.finalized,
            "doneProgress": 1.0 if done else 0.5,
            "resultCount": len(job.results),
            "messages": job.said,
        }
        return answer({"entry": [{"name": found["sid"], "content": content}]})

    def _results(self, request: Request, found: re.Match[str]) -> Response:
        if self.lose_jobs:
            self.lose_jobs -= 1
            self.jobs.pop(found["sid"], None)
        job = self.jobs.get(found["sid"])
        if job is None:
            return messages("Unknown sid.", 404)
        if set(request.args) != {"output_mode", "offset", "count"}:
            return messages("arguments", 400)
        if job.looks >= 0:
            return Response("", 204)
        start, count = int(request.args["offset"]), int(request.args["count"])
        page = job.results[start : start + count]
        return answer({"preview": False, "init_offset": start, "messages": [], "results": page})

    def _control(self, request: Request, found: re.Match[str]) -> Response:
        if request.form.to_dict() != {"output_mode": "json", "action": "cancel"}:
            return messages("action", 400)
        if self.jobs.pop(found["sid"], None) is None:
            return messages("Unknown sid.", 404)
        self.cancelled.append(found["sid"])
        return messages("Search job cancelled.", 200, "INFO")


def serve(server: HTTPServer, events: list[Mapping[str, Any]], form: str) -> FakeSplunk:
    """A Splunk on a server that holds events given in evtx-rs's form."""
    write: Callable[[Mapping[str, Any]], str] = xml_of if form == "xml" else json.dumps
    return FakeSplunk(
        server,
        f"Bearer {TOKEN}",
        events=[
            {
                "_raw": write(event),
                "_time": f"{normalise(dict(event)).recorded / 1e6:.6f}",
                "_indextime": f"{normalise(dict(event)).recorded / 1e6 + 7:.6f}",
                "index": "wineventlog",
                "sourcetype": "XmlWinEventLog",
                "host": str(event["Event"]["System"]["Computer"]),
            }
            for event in events
        ],
    )


def xml_of(event: Mapping[str, Any]) -> str:
    """An event as Windows renders it (renderXml)."""
    system = []
    for name, value in event["Event"]["System"].items():
        if isinstance(value, dict):
            marks = "".join(f" {k}={quoteattr(str(v))}" for k, v in value["#attributes"].items())
            system.append(f"<{name}{marks}/>")
        else:
            system.append(f"<{name}>{escape(str(value))}</{name}>")
    data = [
        f"<Data Name='{name}'>{escape(str(value))}</Data>"
        for name, value in (event["Event"].get("EventData") or {}).items()
    ]
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>"
        f"<System>{''.join(system)}</System><EventData>{''.join(data)}</EventData></Event>"
    )
