"""Requests to a cluster: in time, no faster than agreed, and its faults as ours."""

import base64
import logging
import time
import warnings
from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import (
    ConnectionError as NoConnectionError,
)
from opensearchpy.exceptions import (
    ConnectionTimeout,
    OpenSearchException,
    OpenSearchWarning,
    SSLError,
    TransportError,
)

from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.pacing import Pacer
from huntonce.models.errors import TerminalError, TransientError

TRIES = 4
"""How often a request is sent in all to a cluster that is too busy."""

_BUSY = 429
_CONFLICT = 409
_AGAIN = frozenset({429, 502, 503, 504})
_FIRST_PAUSE = 0.5
_GRACE = 10.0
_LOG = logging.getLogger(__name__)
_HINTS = {
    401: "check the user name and password, or the API key",
    403: "the account needs the rights read and view_index_metadata on the indices",
    404: "check the index patterns in the settings",
    413: "the cluster takes less at once",
}

# Paging needs what tells events of one moment apart, and OpenSearch has nothing else for it.
warnings.filterwarnings("ignore", "Loading the fielddata on the _id field", OpenSearchWarning)

Document = dict[str, Any]


class LostError(TransientError):
    """The point in time is gone: it expired, or the node that held it."""


class ConflictError(TransientError):
    """Somebody else has written the document in between."""


class TooManyError(TerminalError):
    """The query has more clauses than the cluster takes."""


class TooSlowError(TransientError):
    """The cluster did not finish within the time it was given; what it found was thrown away."""


class Cluster:
    """One cluster; safe to share between threads.

    Args:
        name: Registered name, for errors.
        settings: Where it is, who we are and what a request may cost.
    """

    def __init__(self, name: str, settings: OpenSearchSettings) -> None:
        self.name = name
        self._settings = settings
        self._client = _client(name, settings)
        self._pacer = Pacer(settings.requests_a_second)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def search(self, indices: str, body: Document) -> Document:
        """A search over indices (empty: those of the body's point in time), answered whole.

        Raises:
            TooSlowError: It took longer than the settings allow.
            TransientError: The cluster did not answer, or a shard of it did not.
            TerminalError: The cluster refuses it, or no index matches.
        """
        params = {"allow_partial_search_results": "false"}
        if indices:
            params |= {"allow_no_indices": "false", "expand_wildcards": "open"}
        path = f"/{indices}/_search" if indices else "/_search"
        found = self.ask("POST", path, {"timeout": f"{_millis(self._settings)}ms", **body}, params)
        if found.get("timed_out"):
            raise TooSlowError(
                f"the search took longer than {self._settings.timeout:g} s",
                connector=self.name,
                hint="ask for a shorter window, or raise the time-out in the settings",
            )
        shards = found.get("_shards") or {}
        if shards.get("failed"):
            raise TransientError(
                f"{shards['failed']} of {shards.get('total')} shards did not answer",
                connector=self.name,
                hint="see that the cluster is healthy, then repeat",
            )
        return found

    def open_pit(self, indices: str) -> str:
        """The id of a new point in time over indices."""
        keep = {"keep_alive": self.keep_alive}
        if self._settings.kind == "elasticsearch":
            return str(self.ask("POST", f"/{indices}/_pit", None, keep)["id"])
        answer = self.ask("POST", f"/{indices}/_search/point_in_time", None, keep)
        return str(answer["pit_id"])

    def close_pit(self, pit: str) -> None:
        """Free what the cluster holds for a point in time; it would free it by itself later."""
        try:
            if self._settings.kind == "elasticsearch":
                self.ask("DELETE", "/_pit", {"id": pit})
            else:
                self.ask("DELETE", "/_search/point_in_time", {"pit_id": [pit]})
        except (TransientError, TerminalError) as error:
            _LOG.debug("%s: a point in time was not closed: %s", self.name, error)

    @property
    def keep_alive(self) -> str:
        """How long a point in time outlives the last request to it."""
        return f"{int(self._settings.timeout + 60)}s"

    @property
    def tie_break(self) -> str:
        """What tells events of one moment apart when paging."""
        return "_shard_doc" if self._settings.kind == "elasticsearch" else "_id"

    def ask(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Document:
        """The answer to one request, sent again where the cluster is too busy.

        Raises:
            LostError, TransientError, TerminalError: As their classes say.
        """
        pause = _FIRST_PAUSE
        for attempt in range(1, TRIES + 1):
            self._pacer.wait()
            try:
                answer: Document = self._client.transport.perform_request(
                    method,
                    path,
                    params={**(params or {}), "request_timeout": self._settings.timeout + _GRACE},
                    body=body,
                    headers={"X-Opaque-Id": f"huntonce-{self.name}"},
                )
            except TransportError as error:
                fault = self._fault(error, f"{method} {path}")
                if error.status_code != _BUSY or attempt == TRIES:
                    raise fault from None  # the cause repeats the request, values and all
                _LOG.info("%s is busy, trying again in %.1f s", self.name, pause)
                time.sleep(pause)
                pause *= 2
            except OpenSearchException as error:
                raise TerminalError(
                    f"{method} {path}: the answer cannot be read ({type(error).__name__})",
                    connector=self.name,
                    hint="check that the address is the cluster's",
                ) from None
            else:
                if not isinstance(answer, dict):
                    raise TerminalError(
                        f"{method} {path}: the answer is not JSON",
                        connector=self.name,
                        hint="check that the address is the cluster's",
                    )
                return answer
        raise AssertionError("unreachable")

    def _fault(self, error: TransportError, where: str) -> TransientError | TerminalError:
        if isinstance(error, SSLError):
            return TerminalError(
                f"{where}: the cluster's certificate is not trusted",
                connector=self.name,
                hint="name its CA in the settings (ca)",
            )
        if isinstance(error, NoConnectionError):
            slow = isinstance(error, ConnectionTimeout)
            return TransientError(
                f"{where}: {'no answer in time' if slow else 'no connection'}",
                connector=self.name,
                hint="check that the cluster runs and can be reached from here",
            )
        status, (kind, reason) = error.status_code, _reason(error)
        message = f"{where}: {status} {reason}".rstrip()
        if "search_context_missing" in kind:
            return LostError(message, connector=self.name, hint="repeat")
        if status == _CONFLICT:
            return ConflictError(message, connector=self.name, hint="repeat")
        if status in _AGAIN and "too_many_buckets" not in kind:
            hint = "the cluster is busy or failing; repeat later"
            return TransientError(message, connector=self.name, hint=hint)
        many = "too_many_clauses" in kind or "nested clauses" in reason
        hint = _HINTS.get(status, "") if isinstance(status, int) else ""
        return (TooManyError if many else TerminalError)(message, connector=self.name, hint=hint)


def _reason(error: TransportError) -> tuple[str, str]:
    """Type and text of the innermost cause that the cluster names."""
    info = error.info if isinstance(error.info, dict) else {}
    found = info.get("error")
    if not isinstance(found, dict):
        return str(found or ""), str(found or "")[:300]
    causes = found.get("root_cause") or [found]
    cause = causes[0] if isinstance(causes[0], dict) else found
    kinds = " ".join(str(part.get("type", "")) for part in (found, cause))
    return kinds, str(cause.get("reason") or cause.get("type") or "")[:300]


def _millis(settings: OpenSearchSettings) -> int:
    return max(1, int(settings.timeout * 1000))


def _client(name: str, settings: OpenSearchSettings) -> OpenSearch:
    options: dict[str, Any] = {}
    if settings.username:
        # The client would write letters beyond ASCII as Latin-1; clusters read UTF-8.
        word = f"{settings.username}:{settings.password.get_secret_value()}".encode()
        options["headers"] = {"Authorization": f"Basic {base64.b64encode(word).decode()}"}
    if key := settings.api_key.get_secret_value():
        options["headers"] = {"Authorization": f"ApiKey {key}"}
    if settings.url.startswith("https://"):
        options |= {"use_ssl": True, "verify_certs": True, "ssl_show_warn": False}
        for option, path in (
            ("ca_certs", settings.ca),
            ("client_cert", settings.certificate),
            ("client_key", settings.key),
        ):
            if path is not None:
                options[option] = str(path)
    try:
        return OpenSearch([settings.url], max_retries=0, retry_on_timeout=False, **options)
    except (OSError, ValueError) as error:
        raise TerminalError(
            f"the certificates cannot be used: {error}", connector=name, hint="PEM files"
        ) from None
