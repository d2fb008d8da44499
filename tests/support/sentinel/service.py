"""Entra, the query API and the management API in one HTTP server, as the vendor documents them.

It refuses what it does not know: other methods, paths, headers, parameters and queries. Sources:

- token: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
- query: https://learn.microsoft.com/azure/azure-monitor/logs/api/request-format, response-format,
  errors and timeouts; limits: https://learn.microsoft.com/azure/azure-monitor/service-limits
- rules: https://learn.microsoft.com/rest/api/securityinsights/alert-rules (2024-09-01)
- throttling: https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from tests.support.sentinel.evaluating import Row, Schema, UnresolvedError, answer
from tests.support.sentinel.parsing import KustoError, Node, Query, parse

TENANT = "contoso.example"
CLIENT = "11111111-2222-4333-8444-555555555555"
SECRET = "s3cret/+&=~"
SUBSCRIPTION = "99999999-8888-4777-8666-555555555555"
PLACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/soc/workspaces/logs"
VERSION = "2024-09-01"
QUERY_SCOPE = "https://api.loganalytics.io/.default"
MANAGEMENT_SCOPE = "https://management.azure.com/.default"

_RULES = re.compile(
    rf"/subscriptions/{SUBSCRIPTION}/resourceGroups/soc/providers/Microsoft\.OperationalInsights"
    r"/workspaces/logs/providers/Microsoft\.SecurityInsights/alertRules(?:/([0-9a-f-]{36}))?"
)
_REQUIRED = {
    *("displayName", "enabled", "suppressionDuration", "suppressionEnabled", "severity", "query"),
    *("queryFrequency", "queryPeriod", "triggerOperator", "triggerThreshold"),
}
_OPTIONAL = {"description", "tactics", "techniques", "incidentConfiguration"}
_TACTICS = {
    *("Reconnaissance", "ResourceDevelopment", "InitialAccess", "Execution", "Persistence"),
    *("PrivilegeEscalation", "DefenseEvasion", "CredentialAccess", "Discovery", "LateralMovement"),
    *("Collection", "Exfiltration", "CommandAndControl", "Impact", "PreAttack"),
    *("ImpairProcessControl", "InhibitResponseFunction"),
}
_PROVIDERS = "/providers/Microsoft."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Refused(Exception):  # noqa: N818 - an answer, not a fault of this
    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


@dataclass
class Service:
    """What is held, and what to do wrong.

    Attributes:
        workspaces: Workspace id to its tables.
        rules: Rule id to the rule.
        faults: Answers given instead of the true ones, the first to the next request to the API.
        partial: Errors put beside the tables of the next answers.
        max_rows: Rows in an answer; the service's is 500,000.
        slow_over: A query over a longer window takes too long; None for none.
        tokens: Scope to the token that is good for it.
        queries, waits: Of each query asked.
        signed_in: How often a token was given.
        page: Rules in one answer of a listing.
    """

    workspaces: dict[str, dict[str, tuple[Schema, list[Row]]]] = field(default_factory=dict)
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Refused] = field(default_factory=list)
    partial: list[dict[str, Any]] = field(default_factory=list)
    max_rows: int = 500_000
    slow_over: timedelta | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    signed_in: int = 0
    expires_in: int = 3_599
    page: int = 2
    before_write: Callable[[], None] | None = None
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def hold(self, tables: dict[str, tuple[Schema, list[Row]]]) -> str:
        """Make a workspace; its id."""
        workspace = str(uuid.uuid4())
        self.workspaces[workspace] = tables
        return workspace

    # ------------------------------------------------------------ requests

    def handle(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Refused:
        parts = urlsplit(url)
        with self.lock:
            try:
                if parts.path == f"/{TENANT}/oauth2/v2.0/token":
                    return self._token(method, headers, body)
                if self.faults:
                    raise self.faults.pop(0)
                if parts.path.startswith("/v1/workspaces/"):
                    self._authorised(headers, QUERY_SCOPE)
                    return self._query(method, url, headers, body)
                if found := _RULES.fullmatch(parts.path):
                    self._authorised(headers, MANAGEMENT_SCOPE)
                    return self._rule(method, found[1], parts.query, body)
            except Refused as refused:
                return refused
        return _refuse(404, "NotFound", "no such path")

    def _token(self, method: str, headers: Mapping[str, str], body: bytes) -> Refused:
        if method != "POST" or headers["Content-Type"] != "application/x-www-form-urlencoded":
            return _refuse(400, "invalid_request", "not a form")
        form = {
            key: values[0] for key, values in parse_qs(body.decode(), strict_parsing=True).items()
        }
        if form.keys() != {"client_id", "scope", "client_secret", "grant_type"}:
            return Refused(400, {"error": "invalid_request", "error_description": "AADSTS900144"})
        if (form["client_id"], form["client_secret"]) != (CLIENT, SECRET):
            told = "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x"
            return Refused(401, {"error": "invalid_client", "error_description": told})
        assert form["grant_type"] == "client_credentials"
        assert form["scope"] in {QUERY_SCOPE, MANAGEMENT_SCOPE}
        token = self.tokens.setdefault(form["scope"], uuid.uuid4().hex)
        self.signed_in += 1
        return Refused(
            200, {"token_type": "Bearer", "expires_in": self.expires_in, "access_token": token}
        )

    def _authorised(self, headers: Mapping[str, str], scope: str) -> None:
        token = self.tokens.get(scope)
        if token is None or headers.get("Authorization") != f"Bearer {token}":
            raise _refuse(401, "InvalidTokenError", "The provided authentication is not valid")

    def _query(  # noqa: PLR0911 - one a fault
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Refused:
        found = re.fullmatch(r"/v1/workspaces/([0-9a-f-]{36})/query", url)
        if method != "POST" or found is None or found[1] not in self.workspaces:
            return _refuse(404, "WorkspaceNotFoundError", "The workspace could not be found")
        if headers.get("Content-Type") != "application/json":
            return _refuse(415, "UnsupportedMediaType", "JSON is needed")
        wait = re.fullmatch(r"wait=(\d{1,3})", headers.get("Prefer", ""))
        if wait is None or int(wait[1]) > 600:
            return _refuse(400, "BadArgumentError", "Prefer")
        self.waits.append(int(wait[1]))
        asked = json.loads(body)
        if not {"query"} <= asked.keys() <= {"query", "timespan"}:
            return _refuse(400, "BadArgumentError", "unknown property")
        self.queries.append(asked["query"])
        try:
            query = parse(asked["query"])
            if self._too_slow(query):
                return _refuse(504, "GatewayTimeout", "The gateway timed out")
            tables = self.workspaces[found[1]]
            schema, rows = answer(query, _bounded(tables, asked.get("timespan")))
        except KustoError as error:
            kind = "SemanticError" if isinstance(error, UnresolvedError) else "SyntaxError"
            inner = {"code": kind, "message": "A semantic error occurred.",
                     "innererror": {"code": "SEM0100", "message": str(error)}}  # fmt: skip
            body_ = {"code": "BadArgumentError", "message": "The request had some invalid"
                     " properties", "innererror": inner}  # fmt: skip
            return Refused(400, {"error": body_})
        return Refused(200, self._tables(schema, rows))

    def _tables(self, schema: Schema, rows: list[Row]) -> dict[str, Any]:
        kept = rows[: self.max_rows]
        columns = [{"name": name, "type": kind} for name, kind in schema.items()]
        values = [[_written(row[name], schema[name]) for name in schema] for row in kept]
        found: dict[str, Any] = {
            "tables": [{"name": "PrimaryResult", "columns": columns, "rows": values}]
        }
        if len(kept) < len(rows):
            found["error"] = cut(self.max_rows)
        elif self.partial:
            found["error"] = self.partial.pop(0)
        return found

    def _too_slow(self, query: Query) -> bool:
        """Whether the query says a longer window than can be done in time."""
        if self.slow_over is None or not query.operators or query.operators[0].kind != "where":
            return False
        ends = [n.value for n in _literals(query.operators[0].parts[0][1]) if n.value > 10**12]
        return bool(ends) and max(ends) - min(ends) > self.slow_over / timedelta(microseconds=1)

    # ------------------------------------------------------------ rules

    def _rule(  # noqa: PLR0911 - one a fault
        self, method: str, rule_id: str | None, query: str, body: bytes
    ) -> Refused:
        params = {key: values[0] for key, values in parse_qs(query, strict_parsing=True).items()}
        if params.pop("api-version", None) != VERSION or params.keys() - {"$skipToken"}:
            return _refuse(400, "InvalidApiVersionParameter", "The api-version is not supported")
        if method == "GET" and rule_id is None:
            at = int(params.get("$skipToken", "0"))
            names = sorted(self.rules)
            found: dict[str, Any] = {
                "value": [self.rules[name] for name in names[at : at + self.page]]
            }
            if at + self.page < len(names):
                path = PLACE.replace("/workspaces", f"{_PROVIDERS}OperationalInsights/workspaces")
                path += f"{_PROVIDERS}SecurityInsights/alertRules"
                found["nextLink"] = (
                    f"{self.url}{path}?api-version={VERSION}&$skipToken={at + self.page}"
                )
            return Refused(200, found)
        if rule_id is None:
            return _refuse(405, "MethodNotAllowed", method)
        if method == "GET":
            if rule_id not in self.rules:
                return _refuse(404, "NotFound", f"Alert rule '{rule_id}' was not found")
            return Refused(200, self.rules[rule_id])
        if method == "PUT":
            return self._put(rule_id, json.loads(body))
        return _refuse(405, "MethodNotAllowed", method)

    def _put(self, rule_id: str, rule: dict[str, Any]) -> Refused:
        if self.before_write is not None:
            before, self.before_write = self.before_write, None
            before()
        if rule.keys() - {"kind", "etag", "properties"} or rule.get("kind") != "Scheduled":
            return _refuse(400, "BadRequest", "unknown property")
        own = rule["properties"]
        if not own.keys() >= _REQUIRED or own.keys() - _REQUIRED - _OPTIONAL:
            return _refuse(400, "BadRequest", f"properties: {sorted(own.keys() ^ _REQUIRED)}")
        held = self.rules.get(rule_id)
        if rule.get("etag") != (held["etag"] if held else None):
            return _refuse(409, "Conflict", "Newer instance of rule exists for rule ID")
        wrong = (
            own["severity"] not in {"High", "Medium", "Low", "Informational"}
            or not isinstance(own["enabled"], bool)
            or not 0 < len(own["query"]) <= 10_000
            or not 0 < len(own["displayName"]) <= 256
            or len(own.get("description", "")) > 5_000
            or set(own.get("tactics", ())) - _TACTICS
            or not all(re.fullmatch(r"T\d{4}", one) for one in own.get("techniques", ()))
            or not all(
                re.fullmatch(r"PT\d+[MH]", own[k]) for k in ("queryFrequency", "queryPeriod")
            )
            or own["triggerOperator"] != "GreaterThan"
        )
        if wrong:
            return _refuse(400, "BadRequest", "a property has a value that is not allowed")
        try:
            parse(own["query"])
        except KustoError as error:
            return _refuse(400, "BadRequest", f"Invalid query: {error}")
        kept = {"id": f"x/alertRules/{rule_id}", "name": rule_id, "kind": "Scheduled",
                "type": "Microsoft.SecurityInsights/alertRules", "etag": f'"{uuid.uuid4()}"',
                "properties": {**own, "lastModifiedUtc": "2026-05-01T00:00:00Z"}}  # fmt: skip
        self.rules[rule_id] = kept
        return Refused(200 if held else 201, kept)


def cut(rows: int) -> dict[str, Any]:
    """The error beside tables that were cut."""
    inner = {"code": "-2133196797", "message": "The results of this query exceed the set limit of"
             f" {rows} records, so not all records were returned (E_QUERY_RESULT_SET_TOO_LARGE,"
             " 0x80DA0003).", "severity": 2, "severityName": "Error"}  # fmt: skip
    engine = {"code": "EngineError", "message": "Something went wrong processing your query on the"
              " server.", "innererror": inner}  # fmt: skip
    return {"code": "PartialError", "message": "There were some errors when processing your query.",
            "details": [engine]}  # fmt: skip


def _refuse(status: int, code: str, message: str) -> Refused:
    return Refused(status, {"error": {"code": code, "message": message}})


def _literals(node: Node) -> list[Node]:
    own = [node] if node.kind == "literal" and isinstance(node.value, int) else []
    return own + [found for item in node.items for found in _literals(item)]


def _bounded(
    tables: dict[str, tuple[Schema, list[Row]]], timespan: str | None
) -> dict[str, tuple[Schema, list[Row]]]:
    if timespan is None:
        return tables
    start, end = (datetime.fromisoformat(one) for one in timespan.split("/"))
    first, last = ((one - _EPOCH) // timedelta(microseconds=1) for one in (start, end))
    return {
        name: (schema, [row for row in rows if first <= row["TimeGenerated"] <= last])
        for name, (schema, rows) in tables.items()
    }


def _written(value: Any, kind: str) -> Any:
    if kind == "datetime" and value is not None:
        moment = _EPOCH + timedelta(microseconds=value)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return json.dumps(value) if kind == "dynamic" and value is not None else value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        service: Service = self.server.service  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = service.handle(self.command, self.path, dict(self.headers), body)
        content = json.dumps(found.body).encode()
        self.send_response(found.status)
        for name, value in {"Content-Type": "application/json", **found.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815

    @override
    def log_message(self, *_: Any) -> None:
        pass


def server_of(service: Service) -> ThreadingHTTPServer:
    """A server on a free port of this machine; its thread is started."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.service = service  # type: ignore[attr-defined]
    service.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server
