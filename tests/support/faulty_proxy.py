"""A real HTTP proxy in front of a TAXII server that misbehaves as it is told.

It listens on loopback, forwards to one target, and applies a fault to chosen requests for objects:
``proxy.script = [Fault.CUT, None, Fault.EXPIRE]`` harms the first and the third of them. ``always``
holds for each. What it forwards and answers is otherwise the target's own.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

DELAY = 0.6
"""Seconds that a late answer takes; clients of the tests wait for less."""
_TOKEN = "proxy-empty-page"
_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive"}


class Fault(Enum):
    """What happens to a request."""

    CUT = "the body breaks off, and the length said otherwise"
    CUT_QUIETLY = "the body breaks off, and the length says so"
    CLOSE = "the connection is closed without an answer"
    LATE = "the answer takes longer than the client waits"
    REPEAT = "the last page comes once more"
    EXPIRE = "the token has expired: 404"
    EXPIRE_400 = "the token has expired: 400"
    EMPTY_MORE = "an empty page that says there is more"
    HTML = "a gateway's error page with status 200"
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    NOT_ACCEPTABLE = 406
    TOO_LARGE = 413
    BUSY = 429
    BUSY_UNTIL = "429 with a date"
    ERROR = 500
    BAD_GATEWAY = 502
    UNAVAILABLE = 503


class Habit(Enum):
    """What is wrong with every answer."""

    IGNORES_ADDED_AFTER = "added_after is not looked at"
    CAPS_LIMIT = "never more than two objects"
    NO_TOKEN = "more is true, next is missing"
    DATES_OF_NOW = "X-TAXII-Date-Added-Last is the time of the answer"
    NO_MANIFEST = "the manifest is not offered"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class FaultyProxy:
    """See the module.

    Attributes:
        target: Address of the server behind, without a path.
        tls: Speak TLS with this.
        script: Faults of the coming requests for objects, in their order; None: none.
        always: Habits of the server as it is seen through the proxy.
        watch: Called with the number of each request for objects before it is answered.
        asked: Parameters of the requests for objects so far.
        headers: Those of the last request, names in lower case.
        login: Authorization that the target gets, whatever the client sent.
    """

    target: str
    tls: ssl.SSLContext | None = None
    script: list[Fault | None] = field(default_factory=list)
    always: set[Habit] = field(default_factory=set)
    watch: Callable[[int], None] = lambda _: None
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    login: str = ""
    last_page: Answer | None = None
    port: int = 0

    def reset(self, *script: Fault | None, always: set[Habit] | None = None) -> None:
        """Forget what was, and misbehave like this from now on."""
        self.script, self.always = list(script), always or set()
        self.asked, self.last_page, self.watch = [], None, lambda _: None

    def seen_through(self, url: str) -> str:
        """A target's address as one of the proxy's."""
        scheme = "https" if self.tls else "http"
        return urlunsplit(urlsplit(url)._replace(scheme=scheme, netloc=f"127.0.0.1:{self.port}"))

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy.handle(self, b"")

            def do_POST(self) -> None:
                proxy.handle(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's
                pass

        self._client = httpx.Client(base_url=self.target, timeout=30)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        self._client.close()

    def handle(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request."""
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        path = urlsplit(request.path).path
        objects = request.command == "GET" and path.endswith("/objects/")
        params = dict(parse_qsl(urlsplit(request.path).query))
        fault = None
        if objects:
            self.asked.append(params)
            self.watch(len(self.asked))
            fault = self.script.pop(0) if self.script else None
        if Habit.NO_MANIFEST in self.always and path.endswith("/manifest/"):
            _send(request, Answer(404, {}, b"{}"))
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # the client may go
            self._answer(request, params, body, fault, objects=objects)

    def _answer(
        self,
        request: BaseHTTPRequestHandler,
        params: dict[str, str],
        body: bytes,
        fault: Fault | None,
        *,
        objects: bool,
    ) -> None:
        early = _early(fault, params, self.last_page)
        if fault is Fault.CLOSE:
            request.close_connection = True
            return
        if early is not None:
            _send(request, early)
            return
        answer = self._forward(request, params, body)
        if objects and answer.status == 200:
            answer = self._habits(answer)
            # Not the last page of a pull: no cache would give it for the first of the next one.
            more = json.loads(answer.body).get("more") is True
            self.last_page = answer if more else None
        if fault is Fault.LATE:
            time.sleep(DELAY)
        if fault in {Fault.CUT, Fault.CUT_QUIETLY}:
            half = answer.body[: len(answer.body) // 2]
            _send(request, answer, part=half, honest=fault is Fault.CUT_QUIETLY)
            return
        _send(request, answer)

    def _forward(
        self, request: BaseHTTPRequestHandler, params: dict[str, str], body: bytes
    ) -> Answer:
        params = dict(params)
        if params.get("next", "").startswith(_TOKEN):
            rest = params.pop("next")[len(_TOKEN) :]
            params |= {"next": rest} if rest else {}
        if Habit.IGNORES_ADDED_AFTER in self.always:
            params.pop("added_after", None)
        if Habit.CAPS_LIMIT in self.always and "limit" in params:
            params["limit"] = str(min(int(params["limit"]), 2))
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in {"host", "accept-encoding", *_HOP}
        }
        if self.login:
            headers = _with(headers, "Authorization", self.login)
        query = f"?{urlencode(params)}" if params else ""
        got = self._client.request(
            request.command, f"{urlsplit(request.path).path}{query}", headers=headers, content=body
        )
        kept = {name: value for name, value in got.headers.items() if name.lower() not in _HOP}
        return Answer(got.status_code, kept, got.content)

    def _habits(self, answer: Answer) -> Answer:
        content: dict[str, Any] = json.loads(answer.body)
        headers = dict(answer.headers)
        if Habit.NO_TOKEN in self.always:
            content.pop("next", None)
        if Habit.DATES_OF_NOW in self.always:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            headers = _with(headers, "X-TAXII-Date-Added-Last", now)
        return Answer(answer.status, headers, json.dumps(content).encode())


def _early(fault: Fault | None, params: Mapping[str, str], last: Answer | None) -> Answer | None:
    """The answer of a fault that does not need the server."""
    answer: Answer | None = None
    if fault is Fault.REPEAT:
        answer = last
    elif fault is Fault.EXPIRE or fault is Fault.EXPIRE_400:
        status = 404 if fault is Fault.EXPIRE else 400
        answer = Answer(status, {}, b"{}") if "next" in params else None
    elif fault is Fault.EMPTY_MORE:
        token = params.get("next", "").removeprefix(_TOKEN)
        answer = Answer(200, {}, json.dumps({"more": True, "next": _TOKEN + token}).encode())
    elif fault is Fault.HTML:
        answer = Answer(200, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>")
    elif fault is Fault.BUSY_UNTIL:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        answer = Answer(429, {"Retry-After": until}, b"{}")
    elif fault is not None and isinstance(fault.value, int):
        headers = {"Retry-After": "1"} if fault in {Fault.BUSY, Fault.UNAVAILABLE} else {}
        answer = Answer(fault.value, headers, b"{}")
    return answer


def _with(headers: dict[str, str], name: str, value: str) -> dict[str, str]:
    return {
        **{key: held for key, held in headers.items() if key.lower() != name.lower()},
        name: value,
    }


def _send(
    request: BaseHTTPRequestHandler,
    answer: Answer,
    *,
    part: bytes | None = None,
    honest: bool = True,
) -> None:
    body = answer.body if part is None else part
    request.send_response_only(answer.status)
    for name, value in answer.headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body if honest else answer.body)))
    request.end_headers()
    request.wfile.write(body)
    request.wfile.flush()
    if part is not None and not honest:
        request.close_connection = True
