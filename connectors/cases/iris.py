"""DFIR-IRIS (2.4) as a case desk, by its REST API.

The idempotency key is the case's SOC id, which IRIS filters by exactly. IRIS keeps no time of a
case's last change (iris-web#913) and has no comments on a case as such: the watched cases are all
looked at, and what changed is what differs from what we know.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import cached_property
from typing import Any

from huntonce.connectors.http.client import HttpClient, Reply, RequestError
from huntonce.connectors.remote.base import (
    MARK,
    MAX_PAGES,
    DeskConfig,
    RemoteDesk,
    key_tag,
    now,
    words,
)
from huntonce.connectors.remote.page import Block, Shape, line, markdown, render, title
from huntonce.connectors.remote.tell import case_page, listed, observed
from huntonce.connectors.remote.transport import why
from huntonce.models.case import Determination
from huntonce.models.desk import GONE, AtDesk
from huntonce.models.deskupdate import DeskUpdate
from huntonce.models.errors import TerminalError
from huntonce.models.tlp import Tlp

WHOLE = f"{MARK}-complete"
TEXT_LIMIT = 100_000
PAGE = 100
STATUSES = (
    "unknown",
    "false_positive",
    "true_positive_with_impact",
    "not_applicable",
    "true_positive_without_impact",
    "legitimate",
)
"""Outcomes of a case in IRIS 2.4 by their number (``CaseStatus`` in iris-web)."""
DEFAULTS = {
    "true_positive_with_impact": Determination.CONFIRMED,
    "true_positive_without_impact": Determination.CONFIRMED,
    "false_positive": Determination.FALSE_POSITIVE,
    "legitimate": Determination.FALSE_POSITIVE,
}
"""What they stand for; unknown and not_applicable stand for nothing."""
_OUTCOMES = {
    Determination.CONFIRMED: "true_positive_with_impact",
    Determination.BLOCKED: "true_positive_without_impact",
    Determination.FAILED_ATTEMPT: "true_positive_without_impact",
    Determination.FALSE_POSITIVE: "false_positive",
    Determination.SUSPECTED: "unknown",
}
# Names of MISP types, as IRIS uses them.
_TYPES = {
    "ip": "ip-any",
    "ipv4": "ip-any",
    "ipv6": "ip-any",
    "domain": "domain",
    "hostname": "hostname",
    "host": "hostname",
    "url": "url",
    "email": "email",
    "file": "filename",
    "filename": "filename",
    "path": "filename",
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "user": "account",
    "registry": "regkey",
}


class IrisCases(RemoteDesk):
    """Cases of one customer."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep)

    @cached_property
    def _http(self) -> HttpClient:
        return self._client(
            {
                "Authorization": f"Bearer {self._config.token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            }
        )

    def find(self, key: str) -> str | None:
        """Remote id of the case that carries an idempotency key and is whole."""
        found = self._keyed(key)
        return str(found) if found and WHOLE in _tags(self._get(str(found))) else None

    def create(self, key: str, case: Mapping[str, object]) -> str:
        """Open a case that carries the key, or find and finish it; returns its remote id."""
        tlp = self._may_leave(case)
        found = self._keyed(key)
        if found is None:
            page = case_page(case, home=self._config.home)
            opened = self._write(
                "/manage/cases/add",
                {
                    "case_name": title(str(case.get("title") or "Found by a hunt")),
                    "case_description": render(page, markdown, TEXT_LIMIT),
                    "case_customer": self._config.customer,
                    "case_soc_id": key_tag(key),
                },
            )
            found = _number(opened.get("case_id"))
            if found is None:
                raise TerminalError(f"{self.name}: a case without an id", connector=self.name)
        remote_id = str(found)
        tags = _tags(self._get(remote_id))
        if WHOLE in tags:
            return remote_id
        self._add_iocs(remote_id, case, tlp)
        techniques = [line(str(one), 20) for one in listed(case.get("techniques"))]
        marks = dict.fromkeys([*tags, MARK, *techniques, *self._config.labels, WHOLE])
        self._write(f"/manage/cases/update/{remote_id}", {"case_tags": ",".join(marks)})
        return remote_id

    def closed(self) -> Mapping[str, tuple[Determination, str, datetime]]:
        """Remote id to determination, note and time of our closed cases, oldest case first."""
        found: dict[str, tuple[Determination, str, datetime]] = {}
        for row in self._ours():
            one = self._update(self._get(str(row["case_id"])))
            if one.determination is not None:
                found[one.remote_id] = (
                    one.determination,
                    one.note,
                    one.closed_at or self._clock(),
                )
        return found

    def close(self, remote_id: str, determination: Determination, note: str) -> None:
        """Close it there; closing it again with the same determination changes nothing.

        Raises:
            TerminalError: There is no such case, or it was determined to be something else.
        """
        case = self._get(remote_id)
        if case.get("close_date"):
            stands = self._determination(case)
            if stands is not None and _OUTCOMES[stands] != _OUTCOMES[determination]:
                raise TerminalError(
                    f"{remote_id} was closed as {stands.value} already", connector=self.name
                )
            return
        mark = f"{MARK}-determination-{determination.value}"
        body: dict[str, object] = {
            "status_id": STATUSES.index(_OUTCOMES[determination]),
            "case_tags": ",".join(dict.fromkeys([*_tags(case), mark])),
        }
        if note:
            body["case_description"] = (
                f"{words(case, 'case_description')[:TEXT_LIMIT]}\n\n{NOTE_HEAD}\n{_plain(note)}"
            )
        self._write(f"/manage/cases/update/{remote_id}", body)
        self._write(f"/manage/cases/close/{remote_id}", {})

    def updates(self, watched: Sequence[str], since: str) -> Sequence[DeskUpdate]:  # noqa: ARG002
        """The watched cases as they stand; IRIS cannot be asked for what changed."""
        found = []
        for remote_id in dict.fromkeys(watched):
            if _number(remote_id) is None:
                continue
            try:
                found.append(self._update(self._get(remote_id)))
            except TerminalError as error:
                if "no case" not in str(error):
                    raise
                gone = AtDesk(status=GONE, url=self.page_of(remote_id))
                found.append(DeskUpdate(remote_id=remote_id, is_open=True, at_desk=gone))
        return found

    def page_of(self, remote_id: str) -> str:
        """Address at which a person finds a case; empty for an id that IRIS never gives."""
        number = _number(remote_id)
        return "" if number is None else f"{self.base}/case?cid={number}"

    # ------------------------------------------------------------ inside

    def _keyed(self, key: str) -> int | None:
        tag = key_tag(key)
        found = self._read("/manage/cases/filter", {"case_soc_id": tag, "per_page": "10"})
        ids = [
            number
            for row in self._found(found, "cases")
            if tag in {words(row, "soc_id"), words(row, "case_soc_id")}
            and (number := _number(row.get("case_id"))) is not None
        ]
        return min(ids, default=None)

    def _ours(self) -> Iterator[dict[str, Any]]:
        for page in range(1, MAX_PAGES + 1):
            asked = {
                "page": str(page),
                "per_page": str(PAGE),
                "case_customer_id": str(self._config.customer),
                "order_by": "case_id",
            }
            answer = self._read("/manage/cases/filter", asked)
            for row in self._found(answer, "cases"):
                soc_id = words(row, "soc_id") or words(row, "case_soc_id")
                if soc_id.startswith(f"{MARK}-") and row.get("close_date"):
                    yield row
            if not answer.get("next_page"):
                return

    def _get(self, remote_id: str) -> dict[str, Any]:
        if _number(remote_id) is None:
            raise self._none("case", remote_id)
        try:
            found = self._read(f"/manage/cases/{remote_id}", {})
        except RequestError as error:
            # It says 400 "not found", and 403 where the account may not look.
            if error.status in {404, 403} or "not found" in str(error).casefold():
                raise self._none("case", remote_id) from error
            raise
        return found

    def _update(self, case: dict[str, Any]) -> DeskUpdate:
        remote_id, closed = words(case, "case_id"), words(case, "close_date")
        outcome = self._outcome(case)
        state = words(case, "state_name")
        # Only where we wrote it: an attacker's text in the description may hold the same head.
        ours = any(tag.startswith(f"{MARK}-determination-") for tag in _tags(case))
        note = words(case, "case_description").rpartition(f"\n{NOTE_HEAD}\n")[2] if ours else ""
        return DeskUpdate(
            remote_id=remote_id,
            is_open=not closed,
            determination=self._determination(case) if closed else None,
            note=note.strip(),
            closed_at=self._end_of(closed) if closed else None,
            at_desk=AtDesk(
                status=" ".join(filter(None, (state, outcome.replace("_", " ")))),
                assignee=words(case, "owner"),
                url=self.page_of(remote_id),
            ),
        )

    def _outcome(self, case: Mapping[str, Any]) -> str:
        number = _number(case.get("status_id"))
        return STATUSES[number] if number is not None and number < len(STATUSES) else ""

    def _determination(self, case: Mapping[str, Any]) -> Determination | None:
        """What IR concluded: our own word where we closed it, else what its outcome stands for."""
        outcome, prefix = self._outcome(case), f"{MARK}-determination-"
        for tag in _tags(case):
            named = tag.removeprefix(prefix)
            if tag != named and named in set(Determination):
                word = Determination(named)
                if _OUTCOMES[word] == outcome:
                    return word
        return {**DEFAULTS, **self._config.determinations}.get(outcome)

    def _end_of(self, day: str) -> datetime:
        """IRIS keeps the day only: its end, or this moment where it is today."""
        try:
            last = date.fromisoformat(day[:10])
        except ValueError:
            return self._clock()
        end = datetime.combine(last, clock_time.min, UTC) + timedelta(days=1, seconds=-1)
        return min(end, self._clock())

    def _add_iocs(self, remote_id: str, case: Mapping[str, object], tlp: Tlp) -> None:
        types = {words(one, "type_name"): one.get("type_id") for one in self._list("ioc-types")}
        levels = {words(one, "tlp_name").casefold(): one.get("tlp_id") for one in self._list("tlp")}
        # Older servers have no amber+strict; the next tighter level is the safe one.
        names = (tlp.value, "red") if tlp is not Tlp.CLEAR else ("clear", "white", "green")
        level = next((levels[name] for name in names if name in levels), None)
        if level is None:
            raise TerminalError(f"{self.name} has no level for TLP:{tlp}", connector=self.name)
        answer = self._read("/case/ioc/list", {"cid": remote_id})
        held = {words(one, "ioc_value") for one in self._found(answer, "ioc")}
        for kind, value in observed(case):
            if value in held:
                continue
            self._write(
                f"/case/ioc/add?cid={remote_id}",
                {
                    "ioc_value": value,
                    "ioc_type_id": types.get(_TYPES.get(kind, "other")) or types.get("other"),
                    "ioc_tlp_id": level,
                    "ioc_description": "Seen by the hunt that opened this case.",
                    "ioc_tags": MARK,
                },
            )

    def _list(self, what: str) -> list[dict[str, Any]]:
        reply = self._ask(lambda: self._send("GET", f"/manage/{what}/list", None, {}))
        return self._found(reply)

    def _read(self, address: str, asked: Mapping[str, str]) -> dict[str, Any]:
        answer = self._ask(lambda: self._send("GET", address, None, asked))
        return answer if isinstance(answer, dict) else {}

    def _write(self, address: str, body: Mapping[str, object]) -> dict[str, Any]:
        content = json.dumps(body).encode()
        answer = self._ask(lambda: self._send("POST", address, content, None), writes=True)
        return answer if isinstance(answer, dict) else {}

    def _send(
        self, method: str, address: str, content: bytes | None, asked: Mapping[str, str] | None
    ) -> Any:  # noqa: ANN401 - JSON
        refused = frozenset({400, 401, 403, 404})
        reply = self._http.request(method, address, params=asked, content=content, accept=refused)
        answer = _body(reply)
        if reply.status in refused or words(answer, "status") != "success":
            raise RequestError(
                f"{reply.where}: {reply.status} {why(words(answer, 'message'))}".rstrip(),
                connector=self.name,
                hint="check the API key, its rights on the customer, and the version (2.4)",
                status=reply.status,
            )
        return answer.get("data")


NOTE_HEAD = "**What IR learned**"


def _body(reply: Reply) -> dict[str, Any]:
    try:
        answer = reply.json()
    except TerminalError:
        if reply.status < 400:  # noqa: PLR2004 - HTTP
            raise
        return {}
    return answer if isinstance(answer, dict) else {}


def _plain(note: str) -> str:
    return markdown(Block(Shape.TEXT, note)).strip()


def _tags(case: Mapping[str, Any]) -> list[str]:
    return [tag for tag in words(case, "case_tags").split(",") if tag]


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if re.fullmatch(r"0|[1-9][0-9]{0,9}", text) else None
