"""All hits of a query, a page at a time, however many there are.

A point in time is read from the oldest event to the newest. A window that the cluster cannot do in
time is halved; a point in time that is gone is opened anew from where the reading stood, so that
an event of that very moment may come twice: readers tell events apart by their own identity.
"""

from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from huntonce.connectors.siem.lake.fields import NotAnEventError, microseconds
from huntonce.connectors.siem.opensearch.cluster import Cluster, LostError, TooSlowError
from huntonce.connectors.siem.opensearch.dsl import Query, all_
from huntonce.connectors.siem.opensearch.fields import TIME
from huntonce.models.windows import Window

Hit = dict[str, Any]

SHORTEST = timedelta(minutes=1)
"""A window that is too slow although no longer than this is given up."""

_MILLI = timedelta(milliseconds=1)
_MAX_LOST = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEFT_OUT = ["agent", "ecs", "log", "related"]


def within(window: Window) -> Query:
    """The events of a window, and those that share a millisecond with its edges.

    Clusters index times in milliseconds; the event's own time decides.
    """
    start, end = _floor(window.start), _floor(window.end - timedelta(microseconds=1)) + _MILLI
    return {"range": {TIME: {"gte": _text(start), "lt": _text(end)}}}


def pages(
    cluster: Cluster, indices: str, query: Query, window: Window, size: int
) -> Generator[list[Hit]]:
    """The hits in the window in the order of their times, at most ``size`` at once.

    Closing the iterator frees what the cluster holds for it.

    Raises:
        TooSlowError: Even the shortest window takes too long.
        TransientError, TerminalError: As ``Cluster.search``.
    """
    todo = [window]
    lost = 0
    while todo:
        part = todo.pop()
        reached = part.start
        try:
            for hits in _of_one(cluster, indices, all_([within(part), query]), size):
                lost = 0
                yield hits
                reached = max(reached, _time(hits[-1], reached))
        except LostError:
            lost += 1
            if lost > _MAX_LOST:
                raise
            todo.append(Window(min(reached, part.end - _MILLI), part.end))
        except TooSlowError:
            rest = Window(min(reached, part.end - _MILLI), part.end)
            if rest.end - rest.start <= SHORTEST:
                raise
            middle = _floor(rest.start + (rest.end - rest.start) / 2)
            todo += [Window(middle, rest.end), Window(rest.start, middle)]


def _of_one(cluster: Cluster, indices: str, query: Query, size: int) -> Iterator[list[Hit]]:
    pit = cluster.open_pit(indices)
    try:
        body: dict[str, Any] = {
            "size": size,
            "query": query,
            "sort": [{TIME: "asc"}, {cluster.tie_break: "asc"}],
            "track_total_hits": False,
            "_source": {"excludes": _LEFT_OUT},
        }
        while True:
            body["pit"] = {"id": pit, "keep_alive": cluster.keep_alive}
            answer = cluster.search("", body)
            pit = str(answer.get("pit_id") or pit)
            hits: list[Hit] = answer["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < size:
                return
            body["search_after"] = hits[-1]["sort"]
    finally:
        cluster.close_pit(pit)


def _time(hit: Hit, otherwise: datetime) -> datetime:
    try:
        recorded, _ = microseconds(hit.get("_source", {}).get(TIME))
    except NotAnEventError:
        return otherwise
    return _floor(_EPOCH + timedelta(microseconds=recorded))


def _floor(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
