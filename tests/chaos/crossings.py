"""The points of a process at which something is committed, sent or put in its place.

``watch`` counts them, and at one kills the process (nothing of it runs after that) or lets the
disk be full from there on.
"""

import errno
import os
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import httpx
import requests.adapters
from sqlalchemy.engine.default import DefaultDialect

FILES = ("rename", "replace", "link")
"""How a file gets its name at once."""


@dataclass
class Crossings:
    """What was crossed so far.

    Attributes:
        die_at: Number of the crossing at which the process dies; 0: at none.
        full_at: Number of the crossing from which on nothing can be written; 0: none.
        ours: Start of addresses that are no part of the work (the orchestrator's own API).
    """

    die_at: int = 0
    full_at: int = 0
    ours: str = ""
    names: list[str] = field(default_factory=list)

    def at(self, name: str) -> None:
        """Cross a point, or die there."""
        self.names.append(name)
        if len(self.names) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, act: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """The act with a crossing before it and one after it."""

        @wraps(act)
        def crossed(*args: Any, **more: Any) -> Any:
            what = name(*args)
            if not what:
                return act(*args, **more)
            self.at(f"before {what}")
            if 0 < self.full_at <= len(self.names):
                _full(what)
            done = act(*args, **more)
            self.at(f"after {what}")
            return done

        return crossed


def watch(crossings: Crossings) -> None:
    """Count every commit, request and naming of a file of this process from now on."""

    def asks(_transport: object, request: Any, *_rest: object) -> str:
        address = str(request.url)
        if crossings.ours and address.startswith(crossings.ours):
            return ""
        return f"{request.method} {_place(address)}"

    def patch(owner: Any, name: str, words: Callable[..., str]) -> None:
        setattr(owner, name, crossings.around(getattr(owner, name), words))

    patch(DefaultDialect, "do_commit", lambda *_args: "commit")
    patch(httpx.HTTPTransport, "handle_request", asks)
    patch(requests.adapters.HTTPAdapter, "send", asks)
    for name in FILES:
        patch(os, name, lambda *_args, _name=name: _name)


def _full(what: str) -> None:
    """What a writer is told when there is no space: by SQLite, or by the system."""
    if what == "commit":
        raise sqlite3.OperationalError("database or disk is full")
    if what in FILES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _place(address: str) -> str:
    """The path of an address without what differs between runs."""
    parts = httpx.URL(address).path.strip("/").split("/")
    return "/" + "/".join("*" if any(c.isdigit() for c in part) else part for part in parts)
