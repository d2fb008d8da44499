"""Requests to Entra, the query API and the management API, and their faults as ours.

Token: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
Query: https://learn.microsoft.com/azure/azure-monitor/logs/api/request-format, .../response-format,
.../timeouts, and https://learn.microsoft.com/azure/azure-monitor/service-limits
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from huntonce.connectors.http.client import HttpClient, Limits, Reply, TooLargeError, retry_after
from huntonce.connectors.siem.pacing import Pacer
from huntonce.connectors.siem.sentinel.settings import SentinelSettings
from huntonce.models.errors import TerminalError, TransientError

TRIES = 5
"""How often a request is sent in all to a service that is too busy."""

LONGEST_PAUSE = 60.0
"""Seconds; a service that asks for more is left alone."""

MAX_BODY = 256 * 1024 * 1024

_FIRST_PAUSE = 0.5
_EARLY = 300.0
_GRACE = 30.0
_MAX_TOKEN = 16_384
_SPOKEN = 300
_UNAUTHORISED, _GONE, _TIMEOUT = 401, 404, 504
_CONFLICTS = frozenset({409, 412})
_BUSY = frozenset({429, 500, 502, 503})
_READ = frozenset({400, 401, 403, 404, 409, 412, 413, *_BUSY, _TIMEOUT})
_CUT = ("80DA0003", "E_QUERY_RESULT_SET_TOO_LARGE", "exceeds the limit", "exceed the set limit",
        "exceeded the allowed limits", "ResponsePayloadTooLarge")  # fmt: skip
_UNRESOLVED = ("Failed to resolve table", "SEM0100")
_LOG = logging.getLogger(__name__)
_HINTS = {
    400: "check workspace_id and tables in the settings; the service says what it does not take",
    401: "check tenant, client_id and client_secret, and that the secret has not expired",
    403: "the app registration lacks a role; docs/guides/sentinel.md names those that are needed",
    404: "check workspace_id, and rules_index where detections are deployed",
}

Document = dict[str, Any]


class TooSlowError(TransientError):
    """The service did not finish within the time it was given."""


class TooMuchError(TransientError):
    """There is more than one answer may hold; what came was thrown away."""


class UnresolvedError(TerminalError):
    """A table or column is not there, or may not be read."""


class GoneError(TerminalError):
    """What was named is not there."""


class ConflictError(TransientError):
    """Somebody else has written it in between."""


class Workspace:
    """One workspace; safe to share between threads.

    Args:
        name: Registered name, for errors.
        settings: Where it is, who we are and what a query may cost.
    """

    def __init__(self, name: str, settings: SentinelSettings) -> None:
        self.name = name
        self.settings = settings
        self._pacer = Pacer(settings.requests_a_second)
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._http = HttpClient(
            connector=name,
            limits=Limits(read=settings.timeout + _GRACE, max_body=MAX_BODY),
            verify=True if settings.ca is None else str(settings.ca),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def query(self, kql: str, timespan: str = "") -> list[Document]:
        """The rows of a query's answer, as column to value, answered whole.

        Args:
            kql: The query.
            timespan: ISO 8601 interval that bounds it besides what it says itself.

        Raises:
            TooSlowError: It took longer than the settings allow.
            TooMuchError: The answer was cut.
            UnresolvedError: It names what is not there.
            TransientError: No answer, or the service is still busy, or answered in part.
            TerminalError: The service refuses it.
        """
        body: Document = {"query": kql}
        if timespan:
            body["timespan"] = timespan
        url = f"{self.settings.query_url}/v1/workspaces/{quote(self.settings.workspace_id)}/query"
        wait = {"Prefer": f"wait={max(1, int(self.settings.timeout))}"}
        try:
            reply = self._ask(
                "POST", url, self.settings.query_scope, content=orjson.dumps(body), headers=wait
            )
        except TooLargeError as error:
            raise TooMuchError(str(error), connector=self.name, hint=error.hint) from None
        found = self._document(reply)
        if "error" in found:
            raise self._partial(found["error"], reply)
        try:
            (table,) = found["tables"]
            names = [str(column["name"]) for column in table["columns"]]
            return [dict(zip(names, row, strict=True)) for row in table["rows"]]
        except (KeyError, TypeError, ValueError):
            raise TransientError(
                f"{reply.where}: the answer is no table, or holds an error among its rows",
                connector=self.name,
                hint="repeat; if it stays, check query_url",
            ) from None

    def manage(
        self, method: str, path: str, version: str, body: Mapping[str, object] | None = None
    ) -> Document:
        """The answer of the management API to one request; {} for an empty one.

        Raises:
            GoneError, ConflictError, TransientError, TerminalError: As their classes say.
        """
        base = self.settings.management_url
        whole = path.startswith(f"{base}/")  # as the service names a next page
        url = path if whole else f"{base}{path}?api-version={version}"
        content = orjson.dumps(body) if body is not None else None
        reply = self._ask(method, url, self.settings.management_scope, content=content)
        return self._document(reply) if reply.body.strip() else {}

    # ------------------------------------------------------------ inside

    def _ask(
        self,
        method: str,
        url: str,
        scope: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        pause, renewed = _FIRST_PAUSE, False
        attempt = 0
        while True:
            attempt += 1
            token = self._token(scope)
            self._pacer.wait()
            sent = {"Authorization": f"Bearer {token}", **(headers or {})}
            if content is not None:
                sent["Content-Type"] = "application/json"
            reply = self._http.request(method, url, headers=sent, content=content, accept=_READ)
            if reply.status not in _READ:
                return reply
            if reply.status == _UNAUTHORISED and not renewed:
                self._forget(scope, token)
                renewed = True
                continue
            self._wait_or_raise(reply, attempt, pause)
            pause *= 2

    def _wait_or_raise(self, reply: Reply, attempt: int, pause: float) -> None:
        asked = retry_after(reply.headers.get("Retry-After"))
        wait = max(pause, asked or 0.0)
        if reply.status not in _BUSY or attempt >= TRIES or wait > LONGEST_PAUSE:
            raise self._fault(reply, asked)
        _LOG.info("%s is busy, trying again in %.1f s", self.name, wait)
        time.sleep(wait)

    def _token(self, scope: str) -> str:
        """A token that is good for some minutes more; got anew where it is not."""
        with self._lock:
            known = self._tokens.get(scope)
            if known is not None and time.monotonic() < known[1]:
                return known[0]
            token, seconds = self._sign_in(scope)
            self._tokens[scope] = (token, time.monotonic() + seconds - min(_EARLY, seconds / 2))
            return token

    def _forget(self, scope: str, token: str) -> None:
        with self._lock:
            if self._tokens.get(scope, ("",))[0] == token:
                del self._tokens[scope]

    def _sign_in(self, scope: str) -> tuple[str, float]:
        form = {
            "client_id": self.settings.client_id,
            "scope": scope,
            "client_secret": self.settings.client_secret.get_secret_value(),
            "grant_type": "client_credentials",
        }
        url = f"{self.settings.login_url}/{quote(self.settings.tenant)}/oauth2/v2.0/token"
        pause, attempt = _FIRST_PAUSE, 0
        while True:
            attempt += 1
            reply = self._http.request(
                "POST",
                url,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                content=urlencode(form).encode(),
                accept=_READ,
            )
            if reply.status not in _READ:
                break
            if reply.status not in _BUSY:
                raise TerminalError(
                    f"{reply.where}: {reply.status} {_spoken(reply)}".rstrip(),
                    connector=self.name,
                    hint=_HINTS[_UNAUTHORISED],
                )
            self._wait_or_raise(reply, attempt, pause)
            pause *= 2
        found = self._document(reply)
        token, seconds = found.get("access_token"), found.get("expires_in")
        if not isinstance(token, str) or not 0 < len(token) <= _MAX_TOKEN or not token.isascii():
            token = ""
        if not token.isprintable() or not token or not isinstance(seconds, int | float):
            raise TerminalError(
                f"{reply.where}: the answer holds no token",
                connector=self.name,
                hint="check login_url in the settings",
            )
        return token, float(seconds)

    def _document(self, reply: Reply) -> Document:
        found = reply.json()
        if not isinstance(found, dict):
            raise TerminalError(
                f"{reply.where}: the answer is no JSON object",
                connector=self.name,
                hint="check the addresses in the settings",
            )
        return found

    def _partial(self, error: object, reply: Reply) -> TransientError:
        told = orjson.dumps(error).decode()
        message = f"{reply.where}: answered in part only: {_told(error)}"
        if any(word in told for word in _CUT):
            hint = "ask for a shorter window, or lower page_size in the settings"
            return TooMuchError(message, connector=self.name, hint=hint)
        return TransientError(
            message, connector=self.name, hint="repeat; part of an answer is not taken for it"
        )

    def _fault(self, reply: Reply, asked: float | None) -> TransientError | TerminalError:
        status = reply.status
        said = _spoken(reply)
        message = f"{reply.where}: {status} {said}".rstrip()
        hint = _HINTS.get(status, "")
        if status == _TIMEOUT:
            return TooSlowError(
                f"the query took longer than {self.settings.timeout:g} s",
                connector=self.name,
                hint="ask for a shorter window, or raise the time-out in the settings",
            )
        if any(word in said for word in _CUT):
            return TooMuchError(message, connector=self.name, hint="ask for a shorter window")
        if status == _GONE:
            return GoneError(message, connector=self.name, hint=hint)
        if status in _CONFLICTS:
            return ConflictError(message, connector=self.name, hint="repeat")
        if status in _BUSY:
            return TransientError(
                message,
                connector=self.name,
                hint="the service is busy or failing; repeat later",
                retry_after=asked,
            )
        unresolved = any(word in said for word in _UNRESOLVED)
        return (UnresolvedError if unresolved else TerminalError)(
            message, connector=self.name, hint=hint
        )


def _spoken(reply: Reply) -> str:
    """What the service says of a fault; empty where it says nothing that can be read."""
    try:
        found = reply.json()
    except TerminalError:
        return ""
    if not isinstance(found, dict):
        return ""
    if "error_description" in found:  # Entra's way
        return str(found["error_description"]).split("\n", 1)[0].strip()[:_SPOKEN]
    return _told(found.get("error"))


def _told(error: object) -> str:
    """Code and messages of an error, the innermost last."""
    texts: list[str] = []
    while isinstance(error, dict) and len(texts) < 6:  # noqa: PLR2004 - deeper says nothing new
        texts += [str(error[key]) for key in ("code", "message") if error.get(key)]
        details = error.get("details")
        inner = error.get("innererror")
        error = inner or (details[0] if isinstance(details, list) and details else None)
    return ": ".join(dict.fromkeys(texts))[:_SPOKEN]
