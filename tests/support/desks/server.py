"""The part that every stand-in shares: routing, faults to order, and what was asked."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

Handler = Callable[[Request, re.Match[str]], Response]


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(body), status, names, content_type="application/json")


@dataclass
class Fake:
    """A server with routes.

    Attributes:
        faults: Answers given instead of the next ones, for requests of a method (or "*").
        lose: Requests that are carried out and answered by a 502, by method and path.
        asked: Method and path of everything that came.
    """

    server: HTTPServer
    authorization: str
    faults: list[tuple[str, Response]] = field(default_factory=list)
    lose: list[tuple[str, str]] = field(default_factory=list)
    slow: float = 0.0
    asked: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.expect_request(re.compile(".*")).respond_with_handler(self._handle)

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url_for("").rstrip("/")

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, pattern of the path, handler."""
        raise NotImplementedError

    def refuse_login(self) -> Response:
        """What it says to a wrong token."""
        return answer({"message": "Unauthorized"}, 401)

    def count(self, method: str, path: str) -> int:
        """How often something was asked."""
        return sum(m == method and re.fullmatch(path, p) is not None for m, p in self.asked)

    def _handle(self, request: Request) -> Response:
        self.asked.append((request.method, request.path))
        if self.slow:
            time.sleep(self.slow)
        for at, (method, response) in enumerate(self.faults):
            if method in {"*", request.method}:
                del self.faults[at]
                return response
        if request.headers.get("Authorization") != self.authorization:
            return self.refuse_login()
        for method, pattern, handler in self.routes():
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                response = handler(request, found)
                for at, (lost, path) in enumerate(self.lose):
                    if lost == method and re.fullmatch(path, request.path):
                        del self.lose[at]
                        return answer({}, 502)
                return response
        self.wrong.append(f"{request.method} {request.path}")
        return answer({"message": "Not Found"}, 404)
