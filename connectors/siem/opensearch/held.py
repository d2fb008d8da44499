"""The events that a finding refers to, as the cluster holds them."""

from collections.abc import Sequence
from datetime import timedelta

import orjson

from huntonce.connectors.siem.lake.dotted import nested
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.opensearch.cluster import Cluster
from huntonce.connectors.siem.opensearch.dsl import Query, all_, any_
from huntonce.connectors.siem.opensearch.fields import RECORD
from huntonce.connectors.siem.opensearch.paging import pages, within
from huntonce.connectors.siem.opensearch.statistics import on_channel, with_ids
from huntonce.models.finding import EventRef
from huntonce.models.windows import Window

_AT_ONCE = 200
_PAGE = 1_000
_MOMENT = timedelta(microseconds=1)


def originals_of(
    cluster: Cluster, indices: str, event_id: str, channel: str, refs: Sequence[EventRef]
) -> dict[str, str]:
    """Uid to the document as JSON text, for events of one channel that are still there.

    They are looked up by time, id and record number, and told apart by what is in them.
    """
    found: dict[str, str] = {}
    for start in range(0, len(refs), _AT_ONCE):
        some = refs[start : start + _AT_ONCE]
        uids = {ref.uid for ref in some}
        times = [ref.time for ref in some]
        window = Window(min(times), max(times) + _MOMENT)
        query = all_([on_channel(channel), any_([_one(ref, event_id) for ref in some])])
        for hits in pages(cluster, indices, query, window, _PAGE):
            for hit in hits:
                source = nested(hit.get("_source") or {})
                try:
                    uid = normalise({k: v for k, v in source.items() if k != "message"}).uid
                except NotAnEventError:
                    continue
                if uid in uids:
                    found[uid] = orjson.dumps(hit["_source"]).decode()
    return found


def _one(ref: EventRef, event_id: str) -> Query:
    parts = [within(Window(ref.time, ref.time + _MOMENT)), with_ids(event_id, (ref.event_id,))]
    if ref.record_id is not None:
        parts.append({"term": {RECORD: str(ref.record_id)}})
    return all_(parts)
