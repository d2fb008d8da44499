"""TAXII 2.1 as a destination of our intel.

Before anything is sent the server is asked what it already holds, and after a refusal it is asked
again: servers differ in whether an object that is already there counts as a success.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from huntonce.connectors.http.client import HttpClient
from huntonce.connectors.intel.forms import is_id, is_time, time_key
from huntonce.connectors.intel.taxii_endpoint import MEDIA_TYPE, CollectionInfo, TaxiiEndpoint
from huntonce.models.errors import TerminalError

MAX_ENVELOPE_OBJECTS = 500
_IDS_A_REQUEST = 40
_MAX_PAGES = 200
_WRAP = len(b'{"objects":[]}')
_REFUSED = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a destination said of one object; see the port ``PublishAnswer``."""

    object_id: str
    version: str
    outcome: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One object on its way out.

    Attributes:
        version: ``modified``, else ``created``; "" for an object that has neither.
    """

    id: str
    version: str
    body: bytes

    @property
    def key(self) -> tuple[str, str]:
        """Id and version, comparable whatever precision the version was written with."""
        return self.id, time_key(self.version) if is_time(self.version) else ""

    def answer(self, outcome: str, why: str = "") -> Answer:
        """An answer about this object."""
        return Answer(object_id=self.id, version=self.version, outcome=outcome, why=why)


def outgoing(text: str) -> Outgoing:
    """A JSON text as an object to send; its id is "" where the text is no STIX object."""
    body = text.encode()
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or not is_id(content.get("id")):
        return Outgoing("", "", body)
    version = content.get("modified") or content.get("created") or ""
    return Outgoing(content["id"], str(version), body)


@dataclass(kw_only=True)
class TaxiiDestination(TaxiiEndpoint):
    """A collection that our intel is sent to.

    Attributes:
        wait_seconds: How long to wait for a server that works through a request later.
        sleep: Waits; replaced in tests.
    """

    wait_seconds: float = 60.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def publish(self, bodies: Sequence[str]) -> list[Answer]:
        """Send what is not there yet; an answer for each object, in their order.

        Raises:
            TerminalError: The collection is not there or may not be written.
            TransientError: The server cannot be reached. What was sent before stays sent, and
                publishing again answers ``already_present`` for it.
        """
        objects = [outgoing(text) for text in bodies]
        with self.client() as client:
            return _Publishing(self, client, self.info(client)).run(objects)


@dataclass(slots=True)
class _Publishing:
    """One publication on its way."""

    destination: TaxiiDestination
    client: HttpClient
    info: CollectionInfo

    def run(self, objects: Sequence[Outgoing]) -> list[Answer]:
        """Answers in the order of the objects."""
        if not self.info.can_write:
            raise TerminalError(
                f"{self.destination.name}: the collection {self.info.title!r} may not be written",
                connector=self.destination.name,
                hint="ask the server's owner for the right to write",
            )
        answers: dict[int, Answer] = {}
        present = self._present(one.id for one in objects if one.id)
        wanted: list[tuple[int, Outgoing]] = []
        for index, one in enumerate(objects):
            room = self.info.max_content_length - _WRAP
            if not one.id:
                answers[index] = one.answer("failed", "not a STIX object with an id")
            elif one.key in present:
                answers[index] = one.answer("already_present")
            elif len(one.body) > room:
                answers[index] = one.answer("failed", f"larger than the server's {room} bytes")
            else:
                wanted.append((index, one))
        for envelope in self._envelopes(wanted):
            sent = self._send([one for _, one in envelope])
            answers.update(zip((index for index, _ in envelope), sent, strict=True))
        return [answers[index] for index in range(len(objects))]

    def _envelopes(
        self, wanted: Iterable[tuple[int, Outgoing]]
    ) -> Iterator[list[tuple[int, Outgoing]]]:
        envelope: list[tuple[int, Outgoing]] = []
        size = _WRAP
        for index, one in wanted:
            more = len(one.body) + 1
            full = size + more > self.info.max_content_length
            if envelope and (full or len(envelope) == MAX_ENVELOPE_OBJECTS):
                yield envelope
                envelope, size = [], _WRAP
            envelope.append((index, one))
            size += more
        if envelope:
            yield envelope

    def _send(self, objects: Sequence[Outgoing]) -> list[Answer]:
        reply = self.client.request(
            "POST",
            f"{self.info.url}objects/",
            headers={"Content-Type": MEDIA_TYPE},
            content=b'{"objects":[' + b",".join(one.body for one in objects) + b"]}",
            accept=_REFUSED,
        )
        if reply.status in _REFUSED:
            return self._refused(objects, reply.status)
        status = reply.json()
        if not isinstance(status, dict):
            raise TerminalError(
                f"{reply.where}: the answer is not a status", connector=self.destination.name
            )
        return self._judge(objects, self._finished(status))

    def _refused(self, objects: Sequence[Outgoing], status: int) -> list[Answer]:
        """One bad object must not cost the others: halve until it is alone."""
        if len(objects) == 1:
            return [objects[0].answer("failed", f"the server refused it ({status})")]
        middle = len(objects) // 2
        return self._send(objects[:middle]) + self._send(objects[middle:])

    def _finished(self, status: dict[str, object]) -> dict[str, object]:
        waited, pause = 0.0, 0.2
        while status.get("status") == "pending" and waited < self.destination.wait_seconds:
            self.destination.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, 5.0)
            found = self.client.get(f"{self.info.api_root}status/{status.get('id')}/").json()
            status = found if isinstance(found, dict) else status
        return status

    def _judge(self, objects: Sequence[Outgoing], status: dict[str, object]) -> list[Answer]:
        failures = _details(status.get("failures"))
        good = _details(status.get("successes"))
        unsure = status.get("status") != "complete" or (
            bool(status.get("failure_count")) and not failures
        )
        doubtful = [one for one in objects if one.id in failures or (unsure and one.id not in good)]
        present = self._present(one.id for one in doubtful)
        answers = []
        for one in objects:
            if one not in doubtful:
                there = "already present" in good.get(one.id, "")
                answers.append(one.answer("already_present" if there else "sent"))
            elif one.key in present:
                answers.append(one.answer("already_present" if one.id in failures else "sent"))
            else:
                why = failures.get(one.id) or "the server has not taken it yet"
                answers.append(one.answer("failed", why))
        return answers

    def _present(self, ids: Iterable[str]) -> set[tuple[str, str]]:
        """Id and version key of what the server holds of the given objects.

        An object without a version is held under "", whatever version the server gave it.
        """
        wanted = sorted(set(ids))
        if not self.info.can_read:
            return set()
        held: set[tuple[str, str]] = set()
        for start in range(0, len(wanted), _IDS_A_REQUEST):
            held |= self._manifest(wanted[start : start + _IDS_A_REQUEST])
        return held

    def _manifest(self, ids: Sequence[str]) -> set[tuple[str, str]]:
        held: set[tuple[str, str]] = set()
        params = {"match[id]": ",".join(ids), "match[version]": "all"}
        for _ in range(_MAX_PAGES):
            reply = self.client.get(f"{self.info.url}manifest/", params=params)
            content = reply.json()
            page = content if isinstance(content, dict) else {}
            for entry in page.get("objects") or ():
                version = entry.get("version")
                held.add((entry.get("id"), ""))
                if is_time(version):
                    held.add((entry.get("id"), time_key(version)))
            token = page.get("next")
            if page.get("more") is not True or not isinstance(token, str):
                break
            params["next"] = token
        return held


def _details(entries: object) -> dict[str, str]:
    """Id to message of a status resource's details."""
    if not isinstance(entries, list):
        return {}
    return {
        str(entry.get("id")): str(entry.get("message") or "the server gave no reason")
        for entry in entries
        if isinstance(entry, dict)
    }
