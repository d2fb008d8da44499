"""TheHive 5: docs.strangebee.com/thehive/api-docs (API v1)."""

import re
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Request, Response

from tests.support.desks.server import Fake, Handler, answer


@dataclass
class FakeTheHive(Fake):
    """One organisation."""

    organisation: str = ""
    cases: list[dict[str, Any]] = field(default_factory=list)
    observables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    procedures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    said: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    at: int = 1_772_352_000_000
    catalogue: tuple[str, ...] = ("T1053.005",)

    def routes(self) -> list[tuple[str, str, Handler]]:
        api, case = "/api/v1", r"(~\d+)"
        return [
            ("POST", f"{api}/case", self._create),
            ("GET", f"{api}/case/{case}", self._get),
            ("PATCH", f"{api}/case/{case}", self._patch),
            ("POST", f"{api}/case/{case}/observable", self._observable),
            ("POST", f"{api}/case/{case}/procedure", self._procedure),
            ("POST", f"{api}/query", self._query),
        ]

    def refuse_login(self) -> Response:
        return answer({"type": "AuthenticationError", "message": "Authentication failure"}, 401)

    def close(self, case_id: str, status: str, impact: str = "", summary: str = "") -> None:
        """Close a case as its people would."""
        self.at += 60_000
        self._find(case_id).update(
            status=status, impactStatus=impact, summary=summary, stage="Closed",
            closedDate=self.at, _updatedAt=self.at,
        )  # fmt: skip

    def say(self, case_id: str, text: str, name: str = "ann@acme") -> None:
        """Comment as somebody would: the case's own time does not change."""
        self.at += 60_000
        said = self.said.setdefault(case_id, [])
        said.append(
            {"_id": f"~9{len(said)}", "message": text, "createdBy": name, "createdAt": self.at}
        )

    def _find(self, case_id: str) -> dict[str, Any]:
        return next(one for one in self.cases if one["_id"] == case_id)

    def _create(self, request: Request, _found: re.Match[str]) -> Response:
        body = request.get_json()
        if self.organisation:
            assert request.headers["X-Organisation"] == self.organisation
        assert 0 <= body["tlp"] <= 4
        assert 0 <= body["pap"] <= 3
        assert 1 <= body["severity"] <= 4
        assert body["title"]
        assert body["description"]
        self.at += 1_000
        self.cases.append(
            {
                **body,
                "_id": f"~{4096 + len(self.cases)}",
                "_createdAt": self.at,
                "number": len(self.cases) + 1,
                "status": "New",
                "stage": "New",
            }
        )
        return answer(self.cases[-1], 201)

    def _get(self, _request: Request, found: re.Match[str]) -> Response:
        try:
            return answer(self._find(found.group(1)))
        except StopIteration:
            return answer({"type": "NotFoundError", "message": "Case not found"}, 404)

    def _patch(self, request: Request, found: re.Match[str]) -> Response:
        body = request.get_json()
        case = self._find(found.group(1))
        if "status" in body:
            self.close(found.group(1), body["status"])
        case.update(body, _updatedAt=self.at)
        return Response(status=204)

    def _observable(self, request: Request, found: re.Match[str]) -> Response:
        body = request.get_json()
        held = self.observables.setdefault(found.group(1), [])
        if any((o["dataType"], o["data"]) == (body["dataType"], body["data"]) for o in held):
            return answer({"type": "CreateError", "message": "Observable already exists"}, 400)
        held.append(body)
        return answer([body], 201)

    def _procedure(self, request: Request, found: re.Match[str]) -> Response:
        body = request.get_json()
        if body["patternId"] not in self.catalogue:
            return answer({"type": "NotFoundError", "message": "Pattern not found"}, 404)
        self.procedures.setdefault(found.group(1), []).append(body)
        return answer(body, 201)

    def _query(self, request: Request, _found: re.Match[str]) -> Response:
        query = request.get_json()["query"]
        first, rest = query[0], query[1:]
        if first["_name"] == "listCase":
            found = list(self.cases)
        else:
            case_id = first["idOrName"]
            held = {
                "observables": self.observables,
                "procedures": self.procedures,
                "comments": self.said,
            }
            found = list(held[rest[0]["_name"]].get(case_id, []))
            rest = rest[1:]
        for step in rest:
            if step["_name"] == "filter":
                found = [one for one in found if _matches(one, step)]
            elif step["_name"] == "sort":
                (order,) = step["_fields"]
                ((name, way),) = order.items()
                found.sort(key=lambda one: one.get(name, one.get("createdAt", 0)),
                           reverse=way == "desc")  # fmt: skip
            elif step["_name"] == "page":
                found = found[step["from"] : step["to"]]
        return answer(found)


def _matches(one: dict[str, Any], step: dict[str, Any]) -> bool:
    if "_and" in step:
        return all(_matches(one, part) for part in step["_and"])
    if "_in" in step:
        return one.get(step["_in"]["_field"]) in step["_in"]["_values"]
    field_name, value = step["_eq"]["_field"], step["_eq"]["_value"]
    held = one.get(field_name)
    return value in held if isinstance(held, list) else held == value
