"""Jira as a ticket desk: Cloud (e-mail and API token) and Data Center (personal access token).

Both take wiki markup through REST API 2. The idempotency key is a label. Jira Cloud's search lags
behind its writes by seconds, so a create whose answer was lost is looked up again, with pauses,
before anybody may try once more; see docs/decisions/0030.
"""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from jira import JIRA, JIRAError

from huntonce.connectors.http.client import RequestError
from huntonce.connectors.remote.base import (
    MARK,
    MAX_PAGES,
    DeskConfig,
    RemoteDesk,
    T,
    comments,
    key_tag,
    now,
    rows,
    same_words,
    words,
)
from huntonce.connectors.remote.page import Block, Shape, render, title, wiki
from huntonce.connectors.remote.tell import gap_page
from huntonce.connectors.remote.transport import faults, mount, why
from huntonce.models.desk import AtDesk, Comment
from huntonce.models.deskupdate import DeskUpdate
from huntonce.models.errors import TerminalError, TransientError

TEXT_LIMIT = 32_767
PAGE = 50
OVERLAP_MINUTES = 5
SETTLE = (2.0, 5.0, 10.0)
"""Seconds between the looks for an issue whose create was not answered."""
_FIELDS = "summary,status,assignee,updated,labels,comment"
_KEY = re.compile(r"[A-Z][A-Z0-9_]{1,99}-[1-9][0-9]{0,9}")


class JiraTickets(RemoteDesk):
    """Issues of one project."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep)

    @cached_property
    def _jira(self) -> Any:  # noqa: ANN401 - its own annotations lead nowhere

        config = self._config
        token = None if config.email else config.token
        jira = JIRA(
            server=config.url,
            options={"rest_api_version": "2", "check_update": False},
            basic_auth=(config.email, config.token) if config.email else None,
            token_auth=token,
            get_server_info=False,
            max_retries=0,
            logging=False,
        )
        mount(jira._session, self._client({}))  # noqa: SLF001 - it offers no other way
        return jira

    @cached_property
    def _is_cloud(self) -> bool:
        info = self._call(self._jira.server_info)
        kind = words(info, "deploymentType")
        self._jira.deploymentType = kind
        return kind == "Cloud"

    def find(self, key: str) -> str | None:
        """Remote id of the issue that carries an idempotency key."""
        found = self._search(f'labels = "{key_tag(key)}" ORDER BY created ASC', most=1)
        return words(found[0], "key") if found else None

    def create(self, key: str, gap: Mapping[str, object]) -> str:
        """Open an issue that carries the key, or find it; returns its remote id."""
        self._may_leave(gap)
        known = self.find(key)
        if known is not None:
            return known
        page = gap_page(gap, home=self._config.home)
        fields = {
            "project": {"key": self._config.place},
            "issuetype": {"name": self._config.issue_type},
            "summary": title(str(gap.get("title") or "A gap in telemetry")),
            "description": render(page, wiki, TEXT_LIMIT),
            "labels": [MARK, key_tag(key), *self._config.labels],
        }
        try:
            issue = self._call(
                lambda: self._jira.create_issue(fields=fields, prefetch=False), writes=True
            )
        except TransientError as error:
            if error.retry_after is not None:
                raise  # it was refused, not lost
            return self._settled(key, error)
        return str(issue.key)

    def close(self, remote_id: str, comment: str) -> None:
        """Move it to a done status with a comment; a done one stays as it is.

        Raises:
            TerminalError: There is no such issue, or its workflow has no way there.
        """
        self._move(remote_id, comment, done=True)

    def reopen(self, remote_id: str, comment: str) -> None:
        """Move it out of the done statuses with a comment; an open one stays as it is.

        Raises:
            TerminalError: There is no such issue, or its workflow has no way there.
        """
        self._move(remote_id, comment, done=False)

    def updates(self, watched: Sequence[str], since: str) -> Sequence[DeskUpdate]:
        """Those of the watched issues that changed since a moment (all of them without one).

        JQL reads a date in the time zone of the account; minutes ago mean the same everywhere, so
        the moment is measured against the server's own clock.
        """
        jql = f'labels = "{MARK}"'
        if since:
            info = self._call(self._jira.server_info)
            told = words(info, "serverTime")
            at = datetime.fromisoformat(told) if told else self._clock()
            span = at - datetime.fromisoformat(since)
            minutes = max(0, math.ceil(span.total_seconds() / 60)) + OVERLAP_MINUTES
            jql += f" AND updated >= -{minutes}m"
        wanted = set(watched)
        return tuple(
            self._update(issue)
            for issue in self._search(f"{jql} ORDER BY updated ASC")
            if words(issue, "key") in wanted
        )

    def page_of(self, remote_id: str) -> str:
        """Address at which a person finds an issue; empty for an id that is none of the project."""
        ours = _KEY.fullmatch(remote_id) and remote_id.startswith(f"{self._config.place}-")
        return f"{self.base}/browse/{remote_id}" if ours else ""

    # ------------------------------------------------------------ inside

    def _settled(self, key: str, lost: TransientError) -> str:
        for pause in SETTLE:
            self._sleep(pause)
            found = self.find(key)
            if found is not None:
                return found
        raise lost

    def _search(self, condition: str, most: int = MAX_PAGES * PAGE) -> list[dict[str, Any]]:
        # The project key was checked when the settings were read, the tag is ours: neither can
        # end its string.
        jql = f'project = "{self._config.place}" AND {condition}'
        found: list[dict[str, Any]] = []
        token: str | None = None
        for _ in range(MAX_PAGES):
            answer = self._page(jql, len(found), token)
            some = self._found(answer, "issues")
            found += some
            token = words(answer, "nextPageToken") or None
            total = answer.get("total") if isinstance(answer, dict) else None
            whole = not token if self._is_cloud else len(found) >= int(total or 0)
            if whole or len(found) >= most or not some:
                break
        return found

    def _page(self, jql: str, start: int, token: str | None) -> Any:  # noqa: ANN401 - JSON
        if self._is_cloud:
            return self._call(
                lambda: self._jira.enhanced_search_issues(
                    jql, nextPageToken=token, maxResults=PAGE, fields=_FIELDS, json_result=True
                )
            )
        return self._call(
            lambda: self._jira.search_issues(
                jql, startAt=start, maxResults=PAGE, fields=_FIELDS, json_result=True
            )
        )

    def _update(self, issue: dict[str, Any]) -> DeskUpdate:
        fields, key = issue.get("fields"), words(issue, "key")
        said = [
            Comment(
                id=words(one, "id"),
                author=words(one, "author", "displayName"),
                at=words(one, "created"),
                text=words(one, "body"),
            )
            for one in self._comments(key, fields)
        ]
        return DeskUpdate(
            remote_id=key,
            is_open=words(fields, "status", "statusCategory", "key") != "done",
            at_desk=AtDesk(
                status=words(fields, "status", "name"),
                assignee=words(fields, "assignee", "displayName"),
                url=f"{self._config.url}/browse/{key}",
                changed=words(fields, "updated"),
                comments=comments(said),
            ),
        )

    def _comments(self, key: str, fields: object) -> list[dict[str, Any]]:
        """An issue's comments: a search gives the first of them, the issue's own list gives all."""
        shown = rows(fields, "comment", "comments")
        total = words(fields, "comment", "total")
        if not total.isdigit() or len(shown) >= int(total):
            return shown
        return [one.raw for one in self._call(lambda: self._jira.comments(key))]

    def _move(self, remote_id: str, comment: str, *, done: bool) -> None:
        # An issue that was moved to another project is still found by the key that it had here.
        if not _KEY.fullmatch(remote_id) or remote_id.rpartition("-")[0] != self._config.place:
            raise self._none("ticket", remote_id)
        try:
            issue = self._call(lambda: self._jira.issue(remote_id, fields=_FIELDS)).raw
        except RequestError as error:
            if error.status == 404:  # noqa: PLR2004 - HTTP
                raise self._none("ticket", remote_id) from error
            raise
        fields = issue.get("fields")
        if (words(fields, "status", "statusCategory", "key") == "done") is done:
            return
        ways = self._call(lambda: self._jira.transitions(remote_id))
        way = self._way(ways, done=done)
        if way is None:
            names = ", ".join(words(one, "to", "name") for one in rows(ways)) or "nowhere"
            setting = "done" if done else "reopened"
            raise TerminalError(
                f"{remote_id} cannot be {'closed' if done else 'reopened'}: its workflow leads "
                f"to {why(names)}",
                connector=self.name,
                hint=f"name the status in desks.{self.name}.{setting}, or add the transition",
            )
        text = render([Block(Shape.TEXT, comment)], wiki, TEXT_LIMIT).strip()
        last = self._comments(remote_id, fields)
        # Its sender may have died between the comment and the move: it is not said twice.
        if not last or not same_words(words(last[-1], "body"), text):
            self._call(lambda: self._jira.add_comment(remote_id, text), writes=True)
        self._call(lambda: self._jira.transition_issue(remote_id, way), writes=True)

    def _way(self, ways: object, *, done: bool) -> str | None:
        """The transition to take: to the status that is named, else to one of the category."""
        named = (self._config.done if done else self._config.reopened).casefold()
        order = ("done",) if done else ("new", "indeterminate")
        for category in order:
            for one in rows(ways):
                to_name = words(one, "to", "name").casefold()
                to_category = words(one, "to", "statusCategory", "key")
                if (named and to_name == named) or (not named and to_category == category):
                    return words(one, "id")
        return None

    def _call(self, call: Callable[[], T], *, writes: bool = False) -> T:

        def ask() -> T:
            with faults(self.name):
                try:
                    return call()
                except JIRAError as error:
                    status = error.status_code or 0
                    raise RequestError(
                        f"{self.name}: {status} {why(error.text)}",
                        connector=self.name,
                        hint="Jira answers 404 also where the account may not see it",
                        status=int(status),
                    ) from None

        return self._ask(ask, writes=writes)
