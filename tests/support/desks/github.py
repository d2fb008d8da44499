"""GitHub's issues: docs.github.com/en/rest/issues/issues and /comments, version 2022-11-28."""

import re
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Request, Response

from tests.support.desks.server import Fake, Handler, answer

PLACE = "acme/hunting"


@dataclass
class FakeGitHub(Fake):
    """One repository."""

    private: bool = True
    permissions: dict[str, bool] = field(default_factory=lambda: {"push": True, "triage": True})
    issues: list[dict[str, Any]] = field(default_factory=list)
    said: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    minute: int = 0

    def routes(self) -> list[tuple[str, str, Handler]]:
        repo = f"/repos/{PLACE}"
        return [
            ("GET", repo, self._repository),
            ("GET", f"{repo}/issues", self._list),
            ("POST", f"{repo}/issues", self._create),
            ("GET", rf"{repo}/issues/(\d+)", self._get),
            ("PATCH", rf"{repo}/issues/(\d+)", self._patch),
            ("GET", rf"{repo}/issues/(\d+)/comments", self._comments),
            ("POST", rf"{repo}/issues/(\d+)/comments", self._comment),
        ]

    def refuse_login(self) -> Response:
        return answer({"message": "Bad credentials"}, 401)

    def touch(self, number: int, **changes: Any) -> None:
        """Change an issue as its people would."""
        self.issues[number - 1].update(changes, updated_at=self._now())

    def say(self, number: int, text: str, login: str = "ann") -> None:
        """Comment as somebody would."""
        at = self._now()
        said = self.said.setdefault(number, [])
        said.append(
            {"id": 1000 * number + len(said), "body": text, "user": {"login": login},
             "created_at": at}
        )  # fmt: skip
        self.touch(number, comments=len(said))

    def _now(self) -> str:
        self.minute += 10
        return f"2026-03-01T{self.minute // 60:02d}:{self.minute % 60:02d}:00Z"

    def _repository(self, _request: Request, _found: re.Match[str]) -> Response:
        return answer({"private": self.private, "permissions": self.permissions})

    def _list(self, request: Request, _found: re.Match[str]) -> Response:
        args = request.args
        assert request.headers["Accept"] == "application/vnd.github+json"
        assert request.headers["X-GitHub-Api-Version"] == "2022-11-28"
        assert args["state"] == "all"
        size, page = int(args["per_page"]), int(args["page"])
        assert size <= 100
        found = [i for i in self.issues if args["labels"] in [x["name"] for x in i["labels"]]]
        if "since" in args:
            found = [i for i in found if i["updated_at"] >= args["since"]]
        by = {"created": "created_at", "updated": "updated_at"}[args["sort"]]
        found.sort(key=lambda i: i[by], reverse=args["direction"] == "desc")
        return answer(found[(page - 1) * size : page * size])

    def _create(self, request: Request, _found: re.Match[str]) -> Response:
        body = request.get_json()
        if not body.get("title") or len(body["title"]) > 256 or len(body["body"]) > 65_536:
            return answer({"message": "Validation Failed", "errors": []}, 422)
        number, at = len(self.issues) + 1, self._now()
        labelled = self.permissions.get("push") or self.permissions.get("triage")
        self.issues.append(
            {
                "number": number,
                "title": body["title"],
                "body": body["body"],
                "labels": [{"name": x} for x in body["labels"]] if labelled else [],
                "state": "open",
                "state_reason": None,
                "assignees": [],
                "comments": 0,
                "created_at": at,
                "updated_at": at,
                "html_url": f"https://github.com/{PLACE}/issues/{number}",
            }
        )
        return answer(self.issues[-1], 201)

    def _get(self, _request: Request, found: re.Match[str]) -> Response:
        number = int(found.group(1))
        if number > len(self.issues):
            return answer({"message": "Not Found"}, 404)
        return answer(self.issues[number - 1])

    def _patch(self, request: Request, found: re.Match[str]) -> Response:
        body = request.get_json()
        assert (body["state"], body["state_reason"]) in {
            ("closed", "completed"),
            ("open", "reopened"),
        }
        self.touch(int(found.group(1)), **body)
        return answer(self.issues[int(found.group(1)) - 1])

    def _comments(self, request: Request, found: re.Match[str]) -> Response:
        size, page = int(request.args["per_page"]), int(request.args["page"])
        said = self.said.get(int(found.group(1)), [])
        return answer(said[(page - 1) * size : page * size])

    def _comment(self, request: Request, found: re.Match[str]) -> Response:
        text = request.get_json()["body"]
        if len(text) > 65_536:
            return answer({"message": "Validation Failed"}, 422)
        self.say(int(found.group(1)), text, "huntonce-bot")
        return answer(self.said[int(found.group(1))][-1], 201)
