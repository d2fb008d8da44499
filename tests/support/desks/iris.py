"""DFIR-IRIS 2.4: docs.dfir-iris.org/latest/_static/iris_api_reference_v2.1.0.html and iris-web."""

import re
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Request, Response

from tests.support.desks.server import Fake, Handler, answer


def good(data: Any) -> Response:
    """IRIS wraps every answer."""
    return answer({"status": "success", "message": "", "data": data})


def bad(message: str, status: int = 400) -> Response:
    """A refusal of IRIS."""
    return answer({"status": "error", "message": message, "data": []}, status)


@dataclass
class FakeIris(Fake):
    """One customer."""

    cases: list[dict[str, Any]] = field(default_factory=list)
    iocs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    levels: tuple[str, ...] = ("red", "amber", "green", "clear", "amber+strict")
    today: str = "2026-03-01"

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/manage/cases/filter", self._filter),
            ("GET", r"/manage/cases/(\d+)", self._get),
            ("POST", "/manage/cases/add", self._add),
            ("POST", r"/manage/cases/update/(\d+)", self._update),
            ("POST", r"/manage/cases/close/(\d+)", self._close),
            ("GET", "/manage/ioc-types/list", self._types),
            ("GET", "/manage/tlp/list", self._levels),
            ("GET", "/case/ioc/list", self._iocs),
            ("POST", "/case/ioc/add", self._ioc),
        ]

    def refuse_login(self) -> Response:
        return bad("Authentication required", 401)

    def close(self, case_id: str, status_id: int) -> None:
        """Close a case as its people would."""
        self.cases[int(case_id) - 1].update(
            status_id=status_id, state_name="Closed", close_date=self.today
        )

    def _filter(self, request: Request, _found: re.Match[str]) -> Response:
        found = self.cases
        if "case_soc_id" in request.args:  # iris-web compares it whole
            found = [one for one in found if one["case_soc_id"] == request.args["case_soc_id"]]
        size, page = int(request.args["per_page"]), int(request.args.get("page", "1"))
        some = found[(page - 1) * size : page * size]
        return good(
            {
                "total": len(found),
                "cases": [
                    {"case_id": c["case_id"], "soc_id": c["case_soc_id"],
                     "close_date": c["close_date"]}
                    for c in some
                ],
                "next_page": page + 1 if page * size < len(found) else None,
            }
        )  # fmt: skip

    def _get(self, _request: Request, found: re.Match[str]) -> Response:
        number = int(found.group(1))
        if not 0 < number <= len(self.cases):
            return bad(f"Case ID {number} not found")
        return good(self.cases[number - 1])

    def _add(self, request: Request, _found: re.Match[str]) -> Response:
        body = request.get_json()
        assert set(body) == {"case_name", "case_description", "case_customer", "case_soc_id"}
        if body["case_customer"] != 1:
            return bad("Invalid customer ID")
        number = len(self.cases) + 1
        self.cases.append(
            {
                "case_id": number,
                "case_name": f"#{number} - {body['case_name']}",
                "case_description": body["case_description"],
                "case_soc_id": body["case_soc_id"],
                "case_tags": "",
                "close_date": None,
                "status_id": 0,
                "state_name": "Open",
                "owner": "administrator",
            }
        )
        return good({"case_id": number, "case_name": body["case_name"]})

    def _update(self, request: Request, found: re.Match[str]) -> Response:
        self.cases[int(found.group(1)) - 1].update(request.get_json())
        return good({"case_id": int(found.group(1))})

    def _close(self, _request: Request, found: re.Match[str]) -> Response:
        case = self.cases[int(found.group(1)) - 1]
        self.close(found.group(1), case["status_id"])
        return good({"case_id": case["case_id"]})

    def _types(self, _request: Request, _found: re.Match[str]) -> Response:
        names = ("other", "ip-any", "domain", "hostname", "account", "filename", "sha256")
        return good([{"type_id": n, "type_name": name} for n, name in enumerate(names, 70)])

    def _levels(self, _request: Request, _found: re.Match[str]) -> Response:
        return good([{"tlp_id": n, "tlp_name": name} for n, name in enumerate(self.levels, 1)])

    def _iocs(self, request: Request, _found: re.Match[str]) -> Response:
        return good({"ioc": self.iocs.get(request.args["cid"], []), "state": {}})

    def _ioc(self, request: Request, _found: re.Match[str]) -> Response:
        body = request.get_json()
        assert isinstance(body["ioc_type_id"], int)
        assert isinstance(body["ioc_tlp_id"], int)
        held = self.iocs.setdefault(request.args["cid"], [])
        if any(one["ioc_value"] == body["ioc_value"] for one in held):
            return bad("IOC already exists in this case")
        held.append(body)
        return good(body)
