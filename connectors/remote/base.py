"""What every desk of another product has in common."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from huntonce.connectors.http.client import HttpClient, Limits
from huntonce.connectors.remote.page import visible
from huntonce.connectors.remote.tell import tlp_of
from huntonce.models.case import Determination
from huntonce.models.desk import MAX_COMMENT, MAX_COMMENTS, Comment
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.ids import digest
from huntonce.models.tlp import Tlp

PATIENCE = 10.0
"""Seconds that a question waits, once, where the server asks for it; longer waits are faults."""
MARK = "huntonce"
"""Label or tag of everything that we open."""
MAX_ANSWER = 16 * 1024 * 1024
MAX_PAGES = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskConfig:
    """A desk's settings, read and checked. A desk of a third party is made from this too.

    Attributes:
        url: Address of the product; no slash at the end.
        token: API token, personal access token or API key.
        email: Of the token's account, for Jira Cloud.
        place: Jira's project key, GitHub's owner/repository, TheHive's organisation.
        customer: IRIS' customer id.
        issue_type: Jira's.
        done, reopened: Names of Jira's statuses for closed and open; empty: by their category.
        labels: More labels or tags.
        max_tlp: The most closed marking that may go there.
        pap: Permissible Actions Protocol: clear, green, amber or red.
        home: Address at which people find Huntonce's report, for the link back.
        determinations: Words that a case is closed with there, to what they stand for.
        verify: Check TLS certificates; or the path of a CA bundle.
        options: What only a third party's desk knows.
    """

    name: str
    kind: str
    url: str
    token: str = field(default="", repr=False)
    email: str = ""
    place: str = ""
    customer: int = 1
    issue_type: str = "Task"
    done: str = ""
    reopened: str = ""
    labels: tuple[str, ...] = ()
    max_tlp: Tlp = Tlp.AMBER_STRICT
    default_tlp: Tlp = Tlp.AMBER
    pap: str = "amber"
    home: str = ""
    determinations: Mapping[str, Determination] = field(default_factory=dict)
    verify: bool | str = True
    timeout: float = 30.0
    options: Mapping[str, str] = field(default_factory=dict)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class RemoteDesk:
    """Base of the desks: name, manners, marking."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._closed_until = 0.0

    @property
    def name(self) -> str:
        """Registered name of the desk."""
        return self._config.name

    @property
    def base(self) -> str:
        """Address below which people find what is there; no slash at the end."""
        return self._config.url

    def _client(
        self, headers: Mapping[str, str], auth: tuple[str, str] | None = None
    ) -> HttpClient:
        config = self._config
        return HttpClient(
            connector=config.name,
            base_url=config.url,
            auth=auth,
            headers=headers,
            verify=config.verify,
            limits=Limits(read=config.timeout, max_body=MAX_ANSWER),
        )

    def _ask(self, call: Callable[[], T], *, writes: bool = False) -> T:
        """Call the server, as it wants to be called.

        A short wait that it asks for is waited once before a question. A write is never repeated
        here: whether it was done is looked up first, by the next sender. Until a longer wait is
        over the server is left alone.

        Raises:
            TransientError: It is busy, failing or wants to be left alone.
        """
        left = self._closed_until - time.monotonic()
        if left > 0:
            raise self._busy(left)
        for waited in (False, True):
            try:
                return call()
            except TransientError as error:
                wait = error.retry_after
                if wait is None:
                    raise
                if writes or waited or wait > PATIENCE:
                    self._closed_until = time.monotonic() + wait
                    raise
            self._sleep(wait)
        raise AssertionError  # the second time around it answers or raises

    def _busy(self, wait: float) -> TransientError:
        return TransientError(
            f"{self.name} asked us to wait {wait:.0f} s more",
            connector=self.name,
            hint="it limits how often it may be asked; what waits is sent by the next run",
            retry_after=wait,
        )

    def _may_leave(self, payload: Mapping[str, object]) -> Tlp:
        """The marking of what is to leave.

        Raises:
            TerminalError: It is above the ceiling of this desk, or JSON cannot say it.
        """
        try:
            json.dumps(payload, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TerminalError(
                f"what is to be sent is not JSON: {error}", connector=self.name
            ) from error
        tlp = tlp_of(payload, self._config.default_tlp)
        ceiling = self._config.max_tlp
        if tlp.rank > ceiling.rank:
            raise TerminalError(
                f"TLP:{tlp.value.upper()} may not go to {self.name}: max_tlp is {ceiling.value}",
                connector=self.name,
                hint=f"hand it over yourself, or raise desks.{self.name}.max_tlp",
            )
        return tlp

    def _found(self, answer: Any, *path: str) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
        """The rows of an answer.

        Raises:
            TerminalError: It has no list there. That is no "nothing found": whoever took it for
                one would open everything a second time.
        """
        value = answer
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, list):
            raise TerminalError(
                f"{self.name}: the answer is not what the API documents",
                connector=self.name,
                hint="check the address and the product's version",
            )
        return rows(value)

    def _none(self, what: str, remote_id: str) -> TerminalError:
        return TerminalError(
            f"no {what} {remote_id!r}",
            connector=self.name,
            hint="it was opened at another desk, moved or deleted",
        )


def key_tag(key: str) -> str:
    """An idempotency key as every product can hold it: short, plain, and found exactly."""
    return f"{MARK}-{digest(key)[:32]}"


def same_words(one: str, other: str) -> bool:
    """Whether two texts say the same; a product may write markup back in another spelling."""
    plain = [re.sub(r"&#\d+;|[\W_]+", "", text) for text in (one, other)]
    return plain[0] == plain[1]


def comments(found: list[Comment]) -> tuple[Comment, ...]:
    """The newest comments, bounded and without hidden characters."""
    kept = {one.id: one for one in found}
    return tuple(
        Comment(
            id=one.id,
            author=visible(one.author)[:200],
            at=one.at,
            text=visible(one.text)[:MAX_COMMENT],
        )
        for one in list(kept.values())[-MAX_COMMENTS:]
    )


def words(value: Any, *path: str) -> str:  # noqa: ANN401 - whatever JSON the other side sent
    """The text at a path of a JSON value; empty where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int | float) else ""


def rows(value: Any, *path: str) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
    """The objects in the list at a path of a JSON value."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
