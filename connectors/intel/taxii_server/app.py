"""The TAXII 2.1 endpoints (sections 4 and 5 of the OASIS specification) as a FastAPI app."""

import asyncio
import base64
import binascii
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from huntonce.connectors.intel.taxii_server.adding import BadEnvelopeError, add_envelope
from huntonce.connectors.intel.taxii_server.doors import BODY_SECONDS, Allowance
from huntonce.connectors.intel.taxii_server.media import STIX, TAXII, acceptable, is_taxii
from huntonce.connectors.intel.taxii_server.passwords import Passwords
from huntonce.connectors.intel.taxii_server.query import ObjectQuery, parse_query
from huntonce.connectors.intel.taxii_server.settings import (
    CollectionSpec,
    ServerSettings,
    User,
    names_this_machine,
)
from huntonce.connectors.intel.taxii_server.store import Page, TaxiiStore
from huntonce.models.errors import DomainError

ANYBODY = User("", "-")
"""The user of a server without users, which only loopback allows."""


def create_app(settings: ServerSettings, store: TaxiiStore | None = None) -> FastAPI:
    """The server as an ASGI app.

    Args:
        settings: Users, collections and limits.
        store: An open store; without it one is opened on ``settings.db_url``, and closed when
            the app stops.
    """
    kept = store or TaxiiStore(settings.db_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if store is None:
            kept.close()

    app = FastAPI(
        title=settings.title, openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.include_router(_Endpoints(settings, kept).router())
    app.add_exception_handler(HTTPException, _error)
    app.add_exception_handler(DomainError, _bad_request)
    return app


class _Endpoints:
    """One server's request handlers."""

    def __init__(self, settings: ServerSettings, store: TaxiiStore) -> None:
        self.settings = settings
        self.store = store
        self.users = {user.name: user for user in settings.users}
        self.passwords = Passwords(settings.users)
        self.collections = {spec.id: spec for spec in settings.collections}
        self.requests = Allowance(settings.requests_a_minute, 0)
        wrong = settings.wrong_logins_a_minute
        self.wrong = Allowance(wrong, 10 * wrong)

    def router(self) -> APIRouter:
        """Every route, behind the login and the check of the Accept header."""
        router = APIRouter()
        root = f"/{self.settings.api_root}"
        one = f"{root}/collections/{{collection_id}}"
        user = Depends(self.login)
        # FastAPI reads signatures, which bound methods keep; the login comes first in each.
        routes: list[tuple[str, str, Callable[..., Response | Awaitable[Response]]]] = [
            ("GET", "/taxii2/", self.discovery),
            ("GET", f"{root}/", self.api_root),
            ("GET", f"{root}/status/{{status_id}}/", self.status),
            ("GET", f"{root}/collections/", self.collection_list),
            ("GET", f"{one}/", self.collection),
            ("GET", f"{one}/manifest/", self.manifest),
            ("GET", f"{one}/objects/", self.objects),
            ("POST", f"{one}/objects/", self.add),
            ("GET", f"{one}/objects/{{object_id}}/", self.objects_by_id),
            ("GET", f"{one}/objects/{{object_id}}/versions/", self.versions),
        ]
        if self.settings.allow_delete:
            routes.append(("DELETE", f"{one}/objects/{{object_id}}/", self.delete))
        for method, path, endpoint in routes:
            router.add_api_route(
                path, endpoint, methods=[method], dependencies=[user], response_model=None
            )
        return router

    def login(self, request: Request) -> None:
        """Put the user on the request, or refuse; then see what media type is wanted."""
        user = request.state.user = self._user(request)
        _refuse(self.requests.left(user.name), "too many requests of this user")
        self.requests.take(user.name)
        if not acceptable(request.headers.get("accept")):
            raise HTTPException(406, "this server speaks TAXII 2.1")

    def discovery(self, request: Request) -> Response:
        """Section 4.1."""
        base = self.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
        url = f"{base}/{self.settings.api_root}/"
        return _answer({"title": self.settings.title, "default": url, "api_roots": [url]})

    def api_root(self) -> Response:
        """Section 4.2."""
        return _answer(
            {
                "title": self.settings.title,
                "versions": [TAXII],
                "max_content_length": self.settings.max_content_length,
            }
        )

    def status(self, request: Request, status_id: str) -> Response:
        """Section 4.3; only whoever caused it sees it."""
        body = self.store.status(status_id, request.state.user.name)
        if body is None:
            raise HTTPException(404, "no such status")
        return Response(body, headers={"content-type": TAXII})

    def collection_list(self, request: Request) -> Response:
        """Section 5.1: the collections that the user may read or write."""
        user = request.state.user
        shown = [_describe(spec, user) for spec in self.collections.values()]
        shown = [one for one in shown if one["can_read"] or one["can_write"]]
        return _answer({"collections": shown} if shown else {})

    def collection(self, request: Request, collection_id: str) -> Response:
        """Section 5.2."""
        return _answer(self._rights(request, collection_id))

    def manifest(self, request: Request, collection_id: str) -> Response:
        """Section 5.3."""
        page = self._page(request, collection_id)
        entries = [
            {
                "id": row.id,
                "date_added": row.added,
                "version": row.version,
                "media_type": STIX.replace("2.1", row.spec_version),
            }
            for row in page.rows
        ]
        return _page_answer(page, "objects", entries)

    def objects(self, request: Request, collection_id: str) -> Response:
        """Section 5.4."""
        page = self._page(request, collection_id)
        return _page_answer(page, "objects", [orjson.Fragment(row.body) for row in page.rows])

    def objects_by_id(self, request: Request, collection_id: str, object_id: str) -> Response:
        """Section 5.6."""
        page = self._page(request, collection_id, object_id=object_id)
        return _page_answer(page, "objects", [orjson.Fragment(row.body) for row in page.rows])

    def versions(self, request: Request, collection_id: str, object_id: str) -> Response:
        """Section 5.8."""
        page = self._page(request, collection_id, object_id=object_id, versions=("all",))
        return _page_answer(page, "versions", [row.version for row in page.rows])

    async def add(self, request: Request, collection_id: str) -> Response:
        """Section 5.5: 202 with the finished status resource, also kept for later."""
        if not self._rights(request, collection_id)["can_write"]:
            raise HTTPException(403, "this collection cannot be written by this user")
        if not is_taxii(request.headers.get("content-type")) or (
            request.headers.get("content-encoding", "identity") != "identity"
        ):
            raise HTTPException(415, f"send {TAXII}")
        body = await self._body(request)
        try:
            status = await run_in_threadpool(
                add_envelope, self.store, collection_id, request.state.user.name, body
            )
        except BadEnvelopeError as error:
            raise HTTPException(error.status, str(error)) from error
        return Response(status, 202, headers={"content-type": TAXII})

    def delete(self, request: Request, collection_id: str, object_id: str) -> Response:
        """Section 5.7, where the settings allow it."""
        rights = self._rights(request, collection_id)
        if not (rights["can_read"] and rights["can_write"]):
            raise HTTPException(403, "deleting takes the right to read and to write")
        if not self.store.delete(collection_id, object_id):
            raise HTTPException(404, "no such object")
        return Response(headers={"content-type": TAXII})

    def _user(self, request: Request) -> User:
        if not self.users:
            if not names_this_machine(request.headers.get("host")):
                raise HTTPException(403, "without a login this server answers this machine only")
            return ANYBODY
        name, password = _basic(request.headers.get("authorization"))
        if self.passwords.known(name, password):
            return self.users[name]
        address = request.client.host if request.client else ""
        _refuse(self.wrong.left(address), "too many wrong logins")
        if not self.passwords.right(name, password):
            if password:  # clients first ask without, to see what is wanted
                self.wrong.take(address)
            raise HTTPException(
                401, "log in", headers={"WWW-Authenticate": 'Basic realm="taxii", charset="UTF-8"'}
            )
        return self.users[name]

    def _rights(self, request: Request, collection_id: str) -> dict[str, object]:
        spec = self.collections.get(collection_id)
        shown = _describe(spec, request.state.user) if spec else {}
        if not (shown.get("can_read") or shown.get("can_write")):
            raise HTTPException(404, "no such collection")
        return shown

    def _page(
        self,
        request: Request,
        collection_id: str,
        *,
        object_id: str = "",
        versions: tuple[str, ...] = (),
    ) -> Page:
        if not self._rights(request, collection_id)["can_read"]:
            raise HTTPException(403, "this collection cannot be read by this user")
        query = parse_query(request.query_params.multi_items(), page_limit=self.settings.page_limit)
        if object_id:
            if not self.store.holds(collection_id, object_id):
                raise HTTPException(404, "no such object")
            query = ObjectQuery(
                limit=query.limit,
                after=query.after,
                ids=(object_id,),
                spec_versions=query.spec_versions,
                versions=versions or query.versions,
            )
        return self.store.page(collection_id, query)

    async def _body(self, request: Request) -> bytes:
        limit = self.settings.max_content_length
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise HTTPException(413, f"at most {limit} bytes at once")
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.stream():
                    size += len(part)
                    if size > limit:
                        raise HTTPException(413, f"at most {limit} bytes at once")
                    parts.append(part)
        except TimeoutError:
            raise HTTPException(408, "the request did not come to its end in time") from None
        return b"".join(parts)


def _refuse(seconds: float, why: str) -> None:
    if seconds:
        raise HTTPException(429, why, headers={"Retry-After": str(math.ceil(seconds))})


def _describe(spec: CollectionSpec, user: User) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": spec.id,
        "title": spec.title,
        "can_read": spec.can_read and bool({"*", spec.id} & set(user.read)),
        "can_write": spec.can_write and bool({"*", spec.id} & set(user.write)),
        "media_types": [STIX],
    }
    return shown | ({"description": spec.description} if spec.description else {})


def _basic(header: str | None) -> tuple[str, str]:
    """Name and password of an Authorization header (RFC 7617); both "" where it has none."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.casefold() != "basic":
        return "", ""
    try:
        text = base64.b64decode(token.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password


def _answer(
    content: dict[str, object], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        orjson.dumps(content), status, headers={**(headers or {}), "content-type": TAXII}
    )


def _page_answer(page: Page, name: str, items: Sequence[object]) -> Response:
    if not page.rows:
        return _answer({"more": False})
    content: dict[str, object] = {"more": bool(page.next), name: items}
    if page.next:
        content["next"] = page.next
    return _answer(
        content,
        headers={
            "X-TAXII-Date-Added-First": page.rows[0].added,
            "X-TAXII-Date-Added-Last": page.rows[-1].added,
        },
    )


async def _error(_: Request, error: Exception) -> Response:
    """The error message of section 3.6.1."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return _answer(
        {"title": error.detail, "http_status": str(error.status_code)},
        error.status_code,
        dict(error.headers or {}),
    )


async def _bad_request(_: Request, error: Exception) -> Response:
    return _answer({"title": str(error), "http_status": "400"}, 400)
