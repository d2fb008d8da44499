"""TheHive 5 as a case desk.

The idempotency key is a tag. Observables and procedures are added after the case; a second tag
says that all of it is there, so a sender that follows a killed one finishes the case instead of
opening another.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

from thehive4py.client import TheHiveApi
from thehive4py.errors import TheHiveError
from thehive4py.query.filters import Eq, In
from thehive4py.query.page import Paginate
from thehive4py.query.sort import Asc, Desc

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
    words,
)
from huntonce.connectors.remote.page import Block, Shape, line, markdown, render, title
from huntonce.connectors.remote.tell import case_page, listed, observed
from huntonce.connectors.remote.transport import faults, mount, why
from huntonce.models.case import Determination
from huntonce.models.desk import GONE, AtDesk, Comment
from huntonce.models.deskupdate import DeskUpdate
from huntonce.models.errors import TerminalError
from huntonce.models.tlp import Tlp

WHOLE = f"{MARK}-complete"
TEXT_LIMIT = 100_000
PAGE = 100
DEFAULTS = {
    "TruePositive": Determination.CONFIRMED,
    "FalsePositive": Determination.FALSE_POSITIVE,
    "Indeterminate": Determination.SUSPECTED,
}
"""What TheHive's own closing statuses stand for; Other and Duplicated stand for nothing."""
_STATUSES = {
    Determination.CONFIRMED: ("TruePositive", "WithImpact"),
    Determination.BLOCKED: ("TruePositive", "NoImpact"),
    Determination.FAILED_ATTEMPT: ("TruePositive", "NoImpact"),
    Determination.SUSPECTED: ("Indeterminate", "NotApplicable"),
    Determination.FALSE_POSITIVE: ("FalsePositive", "NotApplicable"),
}
_TLP = {Tlp.CLEAR: 0, Tlp.GREEN: 1, Tlp.AMBER: 2, Tlp.AMBER_STRICT: 3, Tlp.RED: 4}
_PAP = {"clear": 0, "green": 1, "amber": 2, "red": 3}
_SEVERITY = {"low": 1, "medium": 2, "high": 3, "critical": 4}
_TYPES = {
    "ip": "ip",
    "ipv4": "ip",
    "ipv6": "ip",
    "domain": "domain",
    "hostname": "hostname",
    "host": "hostname",
    "url": "url",
    "email": "mail",
    "file": "filename",
    "filename": "filename",
    "path": "filename",
    "hash": "hash",
    "md5": "hash",
    "sha1": "hash",
    "sha256": "hash",
    "registry": "registry",
}


class TheHiveCases(RemoteDesk):
    """Cases of one organisation."""

    def __init__(
        self,
        config: DeskConfig,
        *,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep)

    @cached_property
    def _hive(self) -> TheHiveApi:
        config = self._config
        hive = TheHiveApi(url=config.url, apikey=config.token, organisation=config.place or None)
        if config.place:
            hive.session.headers["X-Organisation"] = config.place
        mount(hive.session, self._client({}))
        return hive

    def find(self, key: str) -> str | None:
        """Remote id of the case that carries an idempotency key and is whole."""
        found = self._tagged(key)
        return words(found, "_id") if found and WHOLE in _tags(found) else None

    def create(self, key: str, case: Mapping[str, object]) -> str:
        """Open a case that carries the key, or find and finish it; returns its remote id."""
        tlp = self._may_leave(case)
        found = self._tagged(key)
        if found is not None and WHOLE in _tags(found):
            return words(found, "_id")
        if found is None:
            found = self._opened(key, case, tlp)
        case_id = words(found, "_id")
        self._add_observables(case_id, case, tlp)
        self._add_procedures(case_id, case)
        tagged: Any = {"tags": [*_tags(found), WHOLE]}
        self._call(lambda: self._hive.case.update(case_id, tagged), writes=True)
        return case_id

    def closed(self) -> Mapping[str, tuple[Determination, str, datetime]]:
        """Remote id to determination, note and time of our closed cases, oldest case first."""
        condition = Eq("tags", MARK) & Eq("stage", "Closed")
        found = (self._update(one, said=False) for one in self._cases(condition))
        return {
            one.remote_id: (one.determination, one.note, one.closed_at or self._clock())
            for one in found
            if one.determination is not None and not one.is_open
        }

    def close(self, remote_id: str, determination: Determination, note: str) -> None:
        """Close it there; closing it again with the same determination changes nothing.

        Raises:
            TerminalError: There is no such case, or it was determined to be something else.
        """
        case = self._get(remote_id)
        if case.get("stage") == "Closed":
            stands = self._determination(case)
            if stands is not None and _STATUSES[stands] != _STATUSES[determination]:
                raise TerminalError(
                    f"{remote_id} was closed as {stands.value} already", connector=self.name
                )
            return
        status, impact = _STATUSES[determination]
        fields: Any = {
            "status": status,
            "impactStatus": impact,
            "summary": render([Block(Shape.TEXT, note or "Closed by Huntonce.")], markdown, 20_000),
            "tags": [*_tags(case), f"{MARK}-determination-{determination.value}"],
        }
        self._call(lambda: self._hive.case.update(remote_id, fields), writes=True)

    def updates(self, watched: Sequence[str], since: str) -> Sequence[DeskUpdate]:  # noqa: ARG002
        """The watched cases as they stand.

        A comment does not change its case's time there, so the watched ones are all looked at;
        they are the open ones, and those closed of late.
        """
        ids = [one for one in watched if one.startswith("~")]
        found: list[DeskUpdate] = []
        for start in range(0, len(ids), PAGE):
            page = self._cases(In("_id", ids[start : start + PAGE]))
            found += [self._update(case, said=True) for case in page]
        there = {one.remote_id for one in found}
        gone = [one for one in ids if one not in there]
        return [*found, *[self._gone(one) for one in gone]]

    def page_of(self, remote_id: str) -> str:
        """Address at which a person finds a case; empty for an id that TheHive never gives."""
        return f"{self.base}/cases/{remote_id}/details" if _is_id(remote_id) else ""

    # ------------------------------------------------------------ inside

    def _opened(self, key: str, case: Mapping[str, object], tlp: Tlp) -> dict[str, Any]:
        page = case_page(case, home=self._config.home)
        techniques = [line(str(one), 20) for one in listed(case.get("techniques"))]
        body: Any = {
            "title": title(str(case.get("title") or "Found by a hunt")),
            "description": render(page, markdown, TEXT_LIMIT),
            "severity": _SEVERITY.get(str(case.get("severity")), 2),
            "tlp": _TLP[tlp],
            "pap": _PAP[self._config.pap],
            "tags": [MARK, key_tag(key), *techniques, *self._config.labels],
            "flag": False,
        }
        if case.get("first"):
            body["startDate"] = _millis(str(case["first"]))
        return self._call(lambda: dict(self._hive.case.create(body)), writes=True)

    def _add_observables(self, case_id: str, case: Mapping[str, object], tlp: Tlp) -> None:
        held = {
            (words(one, "dataType"), words(one, "data"))
            for one in self._found(self._call(lambda: self._hive.case.find_observables(case_id)))
        }
        pairs = ((_TYPES.get(kind, "other"), value) for kind, value in observed(case))
        for kind, value in dict.fromkeys(pairs):
            if (kind, value) in held:
                continue
            body: Any = {
                "dataType": kind,
                "data": value,
                "message": "Seen by the hunt that opened this case.",
                "tlp": _TLP[tlp],
                "pap": _PAP[self._config.pap],
                "tags": [MARK],
                "ioc": False,
            }
            try:
                self._call(partial(self._hive.case.create_observable, case_id, body), writes=True)
            except RequestError as error:
                if "exist" not in str(error).casefold():  # it normalises some values
                    raise

    def _add_procedures(self, case_id: str, case: Mapping[str, object]) -> None:
        held = {
            words(one, "patternId")
            for one in self._found(self._call(lambda: self._hive.case.find_procedures(case_id)))
        }
        when = _millis(str(case.get("first") or self._clock().isoformat()))
        for technique in dict.fromkeys(str(one) for one in listed(case.get("techniques"))):
            if technique in held:
                continue
            body: Any = {"patternId": technique, "occurDate": when}
            try:
                self._call(partial(self._hive.case.create_procedure, case_id, body), writes=True)
            except RequestError as error:
                # Its catalogue of ATT&CK may be older than ours; the technique is a tag as well.
                if error.status not in {400, 404}:
                    raise

    def _tagged(self, key: str) -> dict[str, Any] | None:

        found = [one for one in self._cases(Eq("tags", key_tag(key))) if key_tag(key) in _tags(one)]
        return found[0] if found else None

    def _cases(self, condition: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - its filters

        found: list[dict[str, Any]] = []
        for page in range(MAX_PAGES):
            span = Paginate(start=page * PAGE, end=(page + 1) * PAGE)
            some = self._found(
                self._call(partial(self._hive.case.find, condition, Asc("_createdAt"), span))
            )
            found += some
            if len(some) < PAGE:
                break
        return found

    def _get(self, remote_id: str) -> dict[str, Any]:
        if not _is_id(remote_id):
            raise self._none("case", remote_id)
        try:
            return self._call(lambda: dict(self._hive.case.get(remote_id)))
        except RequestError as error:
            if error.status == 404:  # noqa: PLR2004 - HTTP
                raise self._none("case", remote_id) from error
            raise

    def _update(self, case: dict[str, Any], *, said: bool) -> DeskUpdate:
        case_id, is_open = words(case, "_id"), case.get("stage") != "Closed"
        changed = case.get("_updatedAt") or case.get("_createdAt")
        at = case.get("closedDate") or case.get("endDate")
        return DeskUpdate(
            remote_id=case_id,
            is_open=is_open,
            determination=None if is_open else self._determination(case),
            note=words(case, "summary").strip(),
            closed_at=_moment(at) if isinstance(at, int) and not is_open else None,
            at_desk=AtDesk(
                status=" ".join(filter(None, (words(case, "status"), words(case, "impactStatus")))),
                assignee=words(case, "assignee"),
                url=self.page_of(case_id),
                changed=_moment(changed).isoformat() if isinstance(changed, int) else "",
                comments=comments(self._said(case_id)) if said else (),
            ),
        )

    def _gone(self, case_id: str) -> DeskUpdate:
        gone = AtDesk(status=GONE, url=self.page_of(case_id))
        return DeskUpdate(remote_id=case_id, is_open=True, at_desk=gone)

    def _said(self, case_id: str) -> list[Comment]:

        found = self._call(
            lambda: self._hive.case.find_comments(
                case_id, sortby=Desc("_createdAt"), paginate=Paginate(start=0, end=PAGE)
            )
        )
        return [
            Comment(
                id=words(one, "_id"),
                author=words(one, "createdBy") or words(one, "_createdBy"),
                at=_when(one),
                text=words(one, "message"),
            )
            for one in reversed(self._found(found))
        ]

    def _determination(self, case: Mapping[str, Any]) -> Determination | None:
        """What IR concluded: our own word where we closed it, else what its status stands for."""
        prefix = f"{MARK}-determination-"
        for tag in _tags(case):
            named = tag.removeprefix(prefix)
            if tag != named and named in set(Determination):
                word = Determination(named)
                if _STATUSES[word][0] == case.get("status"):
                    return word
        status, impact = words(case, "status"), words(case, "impactStatus")
        table = {**DEFAULTS, **self._config.determinations}
        return table.get(f"{status}/{impact}", table.get(status))

    def _call(self, call: Callable[[], T], *, writes: bool = False) -> T:

        def ask() -> T:
            with faults(self.name):
                try:
                    return call()
                except TheHiveError as error:
                    status = 0 if error.response is None else error.response.status_code
                    raise RequestError(
                        f"{self.name}: {status} {why(error.message)}",
                        connector=self.name,
                        hint="check the API key, its organisation and its permissions",
                        status=status,
                    ) from None

        return self._ask(ask, writes=writes)


def _tags(case: Mapping[str, Any]) -> list[str]:
    return [str(tag) for tag in listed(case.get("tags"))]


def _millis(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)


def _when(one: Mapping[str, Any]) -> str:
    at = one.get("createdAt") or one.get("_createdAt")
    return _moment(at).isoformat() if isinstance(at, int) else ""


def _is_id(remote_id: str) -> bool:
    """Its ids are a tilde and a number; anything else could be another path."""
    return re.fullmatch(r"~[0-9]{1,30}", remote_id) is not None
