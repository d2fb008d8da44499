"""Add Objects: an envelope's objects checked one by one, and the status resource of the answer."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from huntonce.connectors.intel.checks import check_object
from huntonce.connectors.intel.scan import scan
from huntonce.connectors.intel.taxii_server.store import Added, Incoming, TaxiiStore, incoming
from huntonce.models.tlp import Tlp


class BadEnvelopeError(Exception):
    """The request as a whole cannot be taken.

    Attributes:
        status: The HTTP status that says so.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An object of an envelope: fit to be kept, or the reason why not."""

    id: str
    version: str
    fault: str
    incoming: Incoming | None


def add_envelope(store: TaxiiStore, collection: str, user: str, body: bytes) -> bytes:
    """Keep the valid objects; the status resource as JSON, also kept in the store.

    An exact duplicate of what is there counts as success (TAXII 2.1, section 5.5: the server must
    not return an error for it) with a message that says so; the same version with other content
    is a failure.

    Raises:
        BadEnvelopeError: It is not an envelope with objects.
    """
    document = scan(body)
    if document.fault:
        raise BadEnvelopeError(document.fault, 400)
    if not document.objects or "type" in document.fields:
        raise BadEnvelopeError('an envelope is {"objects": [...]} with at least one object', 422)
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    candidates = [_candidate(one) for one in document.objects]
    fit = [one.incoming for one in candidates if one.incoming is not None]
    answers = iter(store.add(collection, fit))
    results = [
        next(answers)
        if one.incoming is not None
        else Added(id=one.id, version=one.version or started, fault=one.fault)
        for one in candidates
    ]
    status_id = str(uuid.uuid4())
    status = orjson.dumps(_status(status_id, started, results))
    store.put_status(status_id, user, status)
    return status


def _candidate(body: bytes) -> _Candidate:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _Candidate("", "", f"not valid JSON: {error}", None)
    checked = check_object(content, body, default_tlp=Tlp.RED)
    if isinstance(checked, str):
        given = content if isinstance(content, dict) else {}
        version = str(given.get("modified") or given.get("created") or "")[:40]
        return _Candidate(str(given.get("id", ""))[:300], version, checked, None)
    return _Candidate(checked.id, checked.version, "", incoming(content, body))


def _status(status_id: str, started: str, results: Iterable[Added]) -> dict[str, object]:
    good, bad = [], []
    for one in results:
        detail = {"id": one.id, "version": one.version}
        if one.fault:
            bad.append(detail | {"message": one.fault})
        else:
            good.append(detail | ({"message": "already present"} if one.already else {}))
    status: dict[str, object] = {
        "id": status_id,
        "status": "complete",
        "request_timestamp": started,
        "total_count": len(good) + len(bad),
        "success_count": len(good),
        "failure_count": len(bad),
        "pending_count": 0,
    }
    return status | ({"successes": good} if good else {}) | ({"failures": bad} if bad else {})
