"""Requests to Splunk's REST API: in time, no faster than agreed, and its faults as ours."""

import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from huntonce.connectors.http.client import HttpClient, Limits, Reply, retry_after
from huntonce.connectors.siem.pacing import Pacer
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.models.errors import TerminalError, TransientError

TRIES = 5
"""How often a request is sent in all to a Splunk that is too busy."""

LONGEST_PAUSE = 30.0
"""Seconds; a Splunk that asks for more is left alone."""

_FIRST_PAUSE = 0.5
_UNKNOWN, _THERE = 404, 409
_BUSY = frozenset({429, 503})
_READ = frozenset({400, 401, 402, 403, 404, 409, 429, 500, 503})
_SPOKEN = 300
_LOG = logging.getLogger(__name__)
_HINTS = {
    400: "Splunk does not take the search; report it, with the text that it says",
    401: "check the token: it may have expired, or token authentication is off there",
    402: "the licence there does not allow this",
    403: "the account lacks a capability; docs/guides/splunk.md names those that are needed",
    404: "check the address (management port) and the app; Splunk 9.0.1 or later is needed",
    409: "something of that name is there already",
}

Document = dict[str, Any]


class LostError(TransientError):
    """What was named is not there: a job that expired, a saved search that was deleted."""


class ThereError(TransientError):
    """Something of that name is there already."""


class Splunk:
    """One Splunk; safe to share between threads.

    Args:
        name: Registered name, for errors.
        settings: Where it is, who we are and what a search may cost.
    """

    def __init__(self, name: str, settings: SplunkSettings) -> None:
        self.name = name
        self.settings = settings
        self._pacer = Pacer(settings.requests_a_second)
        self._http = HttpClient(
            connector=name,
            base_url=settings.url.rstrip("/"),
            headers={"Authorization": f"{settings.scheme} {settings.token.get_secret_value()}"},
            limits=Limits(read=60.0),
            verify=True if settings.ca is None else str(settings.ca),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Document:
        """The answer to a GET; errors as ``post``."""
        return self._ask("GET", path, {"output_mode": "json", **(params or {})}, None)

    def post(self, path: str, form: Mapping[str, str]) -> Document:
        """The answer to a form, sent again where Splunk is too busy to take it.

        Raises:
            LostError, ThereError: 404 and 409.
            TransientError: No answer, or still busy (429, 503: also a quota that is used up).
            TerminalError: It refuses.
        """
        return self._ask("POST", path, {}, {"output_mode": "json", **form})

    def _ask(
        self, method: str, path: str, params: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Document:
        pause = _FIRST_PAUSE
        for attempt in range(1, TRIES + 1):
            self._pacer.wait()
            reply = self._http.request(
                method,
                path,
                params=params,
                headers={"Content-Type": "application/x-www-form-urlencoded"} if form else None,
                content=urlencode(form).encode() if form is not None else None,
                accept=_READ,
            )
            if reply.status not in _READ:
                return self._document(reply)
            fault = self._fault(reply)
            wait = max(pause, getattr(fault, "retry_after", None) or 0.0)
            if reply.status not in _BUSY or attempt == TRIES or wait > LONGEST_PAUSE:
                raise fault
            _LOG.info("%s is busy, trying again in %.1f s", self.name, wait)
            time.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable")

    def _document(self, reply: Reply) -> Document:
        found = reply.json() if reply.body.strip() else {}
        if not isinstance(found, dict):
            raise TerminalError(
                f"{reply.where}: the answer is no JSON object",
                connector=self.name,
                hint="check that the address is Splunk's management port",
            )
        return found

    def _fault(self, reply: Reply) -> TransientError | TerminalError:
        message = f"{reply.where}: {reply.status} {spoken(reply)}".rstrip()
        status, hint = reply.status, _HINTS.get(reply.status, "")
        if status == _UNKNOWN:
            return LostError(message, connector=self.name, hint=hint)
        if status == _THERE:
            return ThereError(message, connector=self.name, hint=hint)
        if status in _HINTS:
            return TerminalError(message, connector=self.name, hint=hint)
        return TransientError(
            message,
            connector=self.name,
            hint="Splunk is busy or failing, or the account's quota of searches is used up;"
            " repeat later",
            retry_after=retry_after(reply.headers.get("Retry-After")),
        )


def spoken(reply: Reply) -> str:
    """What Splunk says of a fault; empty where it says nothing that can be read."""
    try:
        found = reply.json()
    except TerminalError:
        return ""
    messages = found.get("messages") if isinstance(found, dict) else None
    texts = [str(one.get("text", "")) for one in messages or () if isinstance(one, dict)]
    return "; ".join(text for text in texts if text)[:_SPOKEN]
