"""GitHub issues as a ticket desk (REST API, 2022-11-28).

The idempotency key is the last line of the issue's body, in a comment that is not shown. Issues
are looked through by our label in the repository's list, which the database answers, and not by
GitHub's search, whose index lags.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from huntonce.connectors.http.client import HttpClient, Reply, RequestError, retry_after
from huntonce.connectors.remote.base import (
    MARK,
    MAX_PAGES,
    DeskConfig,
    RemoteDesk,
    comments,
    key_tag,
    now,
    rows,
    same_words,
    words,
)
from huntonce.connectors.remote.page import Block, Shape, markdown, render, title
from huntonce.connectors.remote.tell import gap_page
from huntonce.connectors.remote.transport import why
from huntonce.models.desk import AtDesk, Comment
from huntonce.models.deskupdate import DeskUpdate
from huntonce.models.errors import TerminalError, TransientError

BODY_LIMIT = 65_536
PAGE = 100
OVERLAP = timedelta(minutes=2)
UNTOLD_WAIT = 60.0
"""Seconds to wait at a limit of which GitHub says nothing more."""
_KEY_LINE = re.compile(r"\n<!-- (huntonce-[0-9a-f]{32}) -->\s*\Z")


class GitHubTickets(RemoteDesk):
    """Issues of one repository."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep)
        self._repository = f"/repos/{quote(config.place)}"

    @cached_property
    def _http(self) -> HttpClient:
        return self._client(
            {
                "Authorization": f"Bearer {self._config.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "Content-Type": "application/json",
            }
        )

    def find(self, key: str) -> str | None:
        """Remote id of the issue that carries an idempotency key."""
        tag, found = key_tag(key), None
        for issue in self._issues({"direction": "desc", "sort": "created"}):
            if _tag(issue) == tag:
                found = issue  # the oldest, should a person have copied one
        return None if found is None else self._id(found)

    def create(self, key: str, gap: Mapping[str, object]) -> str:
        """Open an issue that carries the key, or find it; returns its remote id.

        Raises:
            TerminalError: The repository is open to the world, the account may not set labels,
                or the marking is above the ceiling.
        """
        self._may_leave(gap)
        known = self.find(key)
        if known is not None:
            return known
        self._check_repository()
        page = gap_page(gap, home=self._config.home)
        body = render(page, markdown, BODY_LIMIT, f"\n<!-- {key_tag(key)} -->")
        issue = self._write(
            "POST",
            f"{self._repository}/issues",
            {
                "title": title(str(gap.get("title") or "A gap in telemetry")),
                "body": body,
                "labels": [MARK, *self._config.labels],
            },
        )
        return self._id(issue)

    def close(self, remote_id: str, comment: str) -> None:
        """Close it with a comment; a closed one stays as it is.

        Raises:
            TerminalError: There is no such issue.
        """
        self._move(remote_id, "closed", comment)

    def reopen(self, remote_id: str, comment: str) -> None:
        """Open it again with a comment; an open one stays as it is.

        Raises:
            TerminalError: There is no such issue.
        """
        self._move(remote_id, "open", comment)

    def updates(self, watched: Sequence[str], since: str) -> Sequence[DeskUpdate]:
        """Those of the watched issues that changed since a moment (all of them without one)."""
        asked = {"sort": "updated", "direction": "asc"}
        if since:
            start = datetime.fromisoformat(since) - OVERLAP
            asked["since"] = start.strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted, found = set(watched), {}
        for issue in self._issues(asked):
            remote_id = self._id(issue)
            if remote_id in wanted:
                found[remote_id] = self._update(remote_id, issue)
        return tuple(found.values())

    @property
    @override
    def base(self) -> str:
        """Address of the pages, which is not the API's; empty where it cannot be told from that."""
        url = self._config.url
        if match := re.fullmatch(r"https://api\.(github\.com|[a-z0-9-]+\.ghe\.com)", url):
            return f"https://{match.group(1)}"
        return url.removesuffix("/api/v3") if url.endswith("/api/v3") else ""

    def page_of(self, remote_id: str) -> str:
        """Address at which a person finds an issue; empty for an id that is none of the place."""
        try:
            number = self._number(remote_id)
        except TerminalError:
            return ""
        return f"{self.base}/{quote(self._config.place)}/issues/{number}" if self.base else ""

    # ------------------------------------------------------------ inside

    def _update(self, remote_id: str, issue: dict[str, Any]) -> DeskUpdate:
        said = [
            Comment(
                id=words(one, "id"),
                author=words(one, "user", "login"),
                at=words(one, "created_at"),
                text=words(one, "body"),
            )
            for one in self._last_comments(issue)
        ]
        reason = words(issue, "state_reason")
        return DeskUpdate(
            remote_id=remote_id,
            is_open=issue.get("state") != "closed",
            at_desk=AtDesk(
                status=" ".join(filter(None, (words(issue, "state"), reason.replace("_", " ")))),
                assignee=", ".join(words(one, "login") for one in rows(issue, "assignees")),
                url=words(issue, "html_url"),
                changed=words(issue, "updated_at"),
                comments=comments(said),
            ),
        )

    def _move(self, remote_id: str, state: str, comment: str) -> None:
        number = self._number(remote_id)
        address = f"{self._repository}/issues/{number}"
        try:
            issue = self._read(address, {})
        except RequestError as error:
            if error.status in {404, 410}:
                raise self._none("ticket", remote_id) from error
            raise
        if issue.get("state") == state:
            return
        text = render([Block(Shape.TEXT, comment)], markdown, BODY_LIMIT).strip()
        last = self._last_comments(issue)
        # Its sender may have died between the comment and the move: it is not said twice.
        if not last or not same_words(words(last[-1], "body"), text):
            self._write("POST", f"{address}/comments", {"body": text})
        reason = "completed" if state == "closed" else "reopened"
        self._write("PATCH", address, {"state": state, "state_reason": reason})

    def _last_comments(self, issue: Mapping[str, Any]) -> list[dict[str, Any]]:
        total = issue.get("comments")
        count = total if isinstance(total, int) else 0
        if not count:
            return []
        found: list[dict[str, Any]] = []
        last = (count + PAGE - 1) // PAGE
        for page in range(max(1, last - 1), last + 1):
            address = f"{self._repository}/issues/{int(issue['number'])}/comments"
            asked = {"per_page": str(PAGE), "page": str(page)}
            found += self._found(self._read(address, asked))
        return found

    def _issues(self, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Our issues, open and closed, page by page."""
        common = {"state": "all", "labels": MARK, "per_page": str(PAGE), **asked}
        for page in range(1, MAX_PAGES + 1):
            found = self._found(
                self._read(f"{self._repository}/issues", {**common, "page": str(page)})
            )
            # The list holds pull requests too; both share their numbers.
            yield from (one for one in found if "pull_request" not in one)
            if len(found) < PAGE:
                return
        raise TerminalError(
            f"{self.name}: more than {MAX_PAGES * PAGE} issues carry the label {MARK!r}",
            connector=self.name,
            hint="a repository of its own for Huntonce's tickets keeps looking them up quick",
        )

    def _check_repository(self) -> None:
        repository = self._read(self._repository, {})
        if repository.get("private") is not True:
            raise TerminalError(
                f"{self.name}: {self._config.place} is open to the world",
                connector=self.name,
                hint="a ticket says where we are blind: use a private repository",
            )
        rights = repository.get("permissions")
        if isinstance(rights, dict) and not any(
            rights.get(one) for one in ("triage", "push", "maintain", "admin")
        ):
            # Without the right GitHub drops labels in silence, and we would not find our issue.
            raise TerminalError(
                f"{self.name}: the account may not set labels in {self._config.place}",
                connector=self.name,
                hint="give it the triage or write role",
            )

    def _number(self, remote_id: str) -> int:
        place, _, number = remote_id.rpartition("#")
        if place.casefold() != self._config.place.casefold() or not re.fullmatch(
            r"[1-9][0-9]{0,9}", number
        ):
            raise self._none("ticket", remote_id)
        return int(number)

    def _id(self, issue: Mapping[str, Any]) -> str:
        number = issue.get("number")
        if not isinstance(number, int):
            raise TerminalError(f"{self.name}: an issue without a number", connector=self.name)
        return f"{self._config.place}#{number}"

    def _read(self, address: str, asked: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        return self._ask(lambda: self._send("GET", address, params=asked)).json()

    def _write(self, method: str, address: str, body: Mapping[str, object]) -> dict[str, Any]:
        content = json.dumps(body).encode()
        reply = self._ask(lambda: self._send(method, address, content=content), writes=True)
        answer = reply.json()
        return answer if isinstance(answer, dict) else {}

    def _send(
        self,
        method: str,
        address: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        refused = frozenset({400, 403, 404, 410, 422, 429})
        reply = self._http.request(method, address, params=params, content=content, accept=refused)
        if reply.status not in refused:
            return reply
        said = why(words(_json(reply), "message"))
        wait = self._limit(reply, said)
        if wait is not None:
            raise TransientError(
                f"{reply.where}: {reply.status} GitHub's rate limit",
                connector=self.name,
                hint="what waits is sent by a later run",
                retry_after=wait,
            )
        raise RequestError(
            f"{reply.where}: {reply.status} {said}".rstrip(),
            connector=self.name,
            hint="GitHub answers 404 also where the token has no right: see its repository access",
            status=reply.status,
        )

    def _limit(self, reply: Reply, said: str) -> float | None:
        """Seconds to wait where a limit was hit; None where none was.

        As docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api has it: first
        Retry-After, then X-RateLimit-Reset where nothing remains, else at least a minute.
        """
        if reply.status not in {403, 429}:
            return None
        asked = retry_after(reply.headers.get("Retry-After"))
        if asked is not None:
            return asked
        if reply.headers.get("X-RateLimit-Remaining") == "0":
            reset = reply.headers.get("X-RateLimit-Reset", "")
            if reset.isascii() and reset.isdigit():
                return min(max(int(reset[:12]) - self._clock().timestamp(), 1.0), 3600.0)
            return UNTOLD_WAIT
        limited = reply.status == 429 or "rate limit" in said.casefold()  # noqa: PLR2004 - HTTP
        return UNTOLD_WAIT if limited else None


def _tag(issue: Mapping[str, Any]) -> str:
    found = _KEY_LINE.search(words(issue, "body").replace("\r\n", "\n"))
    return found.group(1) if found else ""


def _json(reply: Reply) -> object:
    try:
        return reply.json()
    except TerminalError:
        return None
