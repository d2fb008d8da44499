"""Jira, REST API 2.

Cloud: developer.atlassian.com/cloud/jira/platform/rest/v2 (search/jql with nextPageToken).
Data Center: developer.atlassian.com/server/jira/platform/rest (search with startAt).
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug import Request, Response

from tests.support.desks.server import Fake, Handler, answer

STATUSES = {
    "To Do": ("11", "new"),
    "In Progress": ("21", "indeterminate"),
    "Done": ("31", "done"),
}


@dataclass
class FakeJira(Fake):
    """One project, SOC, with a plain workflow.

    Attributes:
        hidden: How many searches do not see the newest issue yet (Cloud's index lags).
    """

    cloud: bool = True
    issues: list[dict[str, Any]] = field(default_factory=list)
    at: datetime = datetime(2026, 3, 1, 8, tzinfo=UTC)
    hidden: int = 0
    ways: tuple[str, ...] = ("To Do", "In Progress", "Done")
    queries: list[str] = field(default_factory=list)

    def routes(self) -> list[tuple[str, str, Handler]]:
        api, key = "/rest/api/2", r"(SOC-\d+)"
        return [
            ("GET", f"{api}/serverInfo", self._info),
            ("GET", f"{api}/field", lambda _request, _found: answer([])),
            ("GET", f"{api}/search/jql" if self.cloud else f"{api}/search", self._search),
            ("POST", f"{api}/issue", self._create),
            ("GET", f"{api}/issue/{key}", self._get),
            ("GET", f"{api}/issue/{key}/transitions", self._ways),
            ("POST", f"{api}/issue/{key}/transitions", self._move),
            ("GET", f"{api}/issue/{key}/comment", self._comments),
            ("POST", f"{api}/issue/{key}/comment", self._comment),
        ]

    def refuse_login(self) -> Response:
        return answer({"errorMessages": ["Login required"], "errors": {}}, 401)

    def touch(self, key: str, **fields: Any) -> None:
        """Change an issue as its people would."""
        self._find(key)["fields"].update(fields, updated=self._now())

    def move(self, key: str, status: str) -> None:
        """Move an issue as its people would."""
        category = {"key": STATUSES[status][1]}
        self.touch(key, status={"name": status, "statusCategory": category})

    def say(self, key: str, text: str, name: str = "Ann") -> None:
        """Comment as somebody would."""
        fields = self._find(key)["fields"]
        number = len(fields["comment"]["comments"])
        at = self._now()
        fields["comment"]["comments"].append(
            {"id": f"{key}-{number}", "body": text, "author": {"displayName": name}, "created": at}
        )
        fields["updated"] = at

    def _now(self) -> str:
        self.at += timedelta(minutes=10)
        # In the time zone of the account, as Jira does it.
        return f"{self.at + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}.000+0200"

    def _find(self, key: str) -> dict[str, Any]:
        return next(one for one in self.issues if one["key"] == key)

    def _info(self, _request: Request, _found: re.Match[str]) -> Response:
        kind = "Cloud" if self.cloud else "Server"
        return answer(
            {
                "deploymentType": kind,
                "versionNumbers": [9, 12, 0],
                "serverTime": f"{self.at:%Y-%m-%dT%H:%M:%S}.000+0000",
            }
        )

    def _search(self, request: Request, _found: re.Match[str]) -> Response:
        jql = request.args["jql"]
        self.queries.append(jql)
        wanted = re.fullmatch(
            r'project = "SOC" AND labels = "([a-z0-9-]+)"(?: AND updated >= -(\d+)m)?'
            r" ORDER BY (?:created|updated) ASC",
            jql,
        )
        if wanted is None:
            return answer({"errorMessages": ["Error in the JQL Query"]}, 400)
        seen = self.issues
        if self.hidden and seen:
            self.hidden -= 1
            seen = seen[:-1]
        found = [one for one in seen if wanted.group(1) in one["fields"]["labels"]]
        if wanted.group(2):
            start = self.at - timedelta(minutes=int(wanted.group(2)))
            found = [
                one for one in found if datetime.fromisoformat(one["fields"]["updated"]) >= start
            ]
        size = min(int(request.args["maxResults"]), 3)  # a server may give less than is asked for
        if self.cloud:
            first = int(request.args.get("nextPageToken", "t0")[1:])
            body: dict[str, Any] = {"issues": found[first : first + size], "isLast": True}
            if first + size < len(found):
                body |= {"nextPageToken": f"t{first + size}", "isLast": False}
            return answer(body)
        first = int(request.args["startAt"])
        return answer(
            {"startAt": first, "total": len(found), "issues": found[first : first + size]}
        )

    def _create(self, request: Request, _found: re.Match[str]) -> Response:
        fields = request.get_json()["fields"]
        errors = {}
        if len(fields["summary"]) > 255 or "\n" in fields["summary"]:
            errors["summary"] = "Summary must be less than 255 characters."
        if len(fields["description"]) > 32_767:
            errors["description"] = "The entered text is too long. 32,767 characters are allowed."
        if any(" " in label for label in fields["labels"]):
            errors["labels"] = "The label contains spaces which is invalid."
        if fields["project"] != {"key": "SOC"} or fields["issuetype"] != {"name": "Task"}:
            errors["issuetype"] = "The issue type selected is invalid."
        if errors:
            return answer({"errorMessages": [], "errors": errors}, 400)
        key = f"SOC-{len(self.issues) + 1}"
        at = self._now()
        self.issues.append(
            {
                "id": str(10_000 + len(self.issues)),
                "key": key,
                "fields": {
                    **fields,
                    "created": at,
                    "updated": at,
                    "assignee": None,
                    "status": {"name": "To Do", "statusCategory": {"key": "new"}},
                    "comment": {"comments": [], "total": 0},
                },
            }
        )
        return answer({"id": self.issues[-1]["id"], "key": key, "self": f"{self.url}/x"}, 201)

    def _get(self, _request: Request, found: re.Match[str]) -> Response:
        try:
            return answer(self._find(found.group(1)))
        except StopIteration:
            return answer({"errorMessages": ["Issue does not exist"], "errors": {}}, 404)

    def _ways(self, _request: Request, _found: re.Match[str]) -> Response:
        return answer(
            {
                "transitions": [
                    {
                        "id": STATUSES[name][0],
                        "name": f"Move to {name}",
                        "to": {"name": name, "statusCategory": {"key": STATUSES[name][1]}},
                    }
                    for name in self.ways
                ]
            }
        )

    def _move(self, request: Request, found: re.Match[str]) -> Response:
        number = str(request.get_json()["transition"]["id"])
        self.move(found.group(1), next(n for n, (i, _) in STATUSES.items() if i == number))
        return Response(status=204)

    def _comments(self, _request: Request, found: re.Match[str]) -> Response:
        said = self._find(found.group(1))["fields"]["comment"]["comments"]
        return answer({"comments": said, "total": len(said)})

    def _comment(self, request: Request, found: re.Match[str]) -> Response:
        text = request.get_json()["body"]
        if len(text) > 32_767:
            return answer({"errorMessages": ["too long"]}, 400)
        self.say(found.group(1), text, "Huntonce")
        return answer({"id": "1", "body": text}, 201)
