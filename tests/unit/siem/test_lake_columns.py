"""Tables of events: each row has the fields of its event, whatever the others have."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.lake.columns import Row, table
from huntonce.connectors.siem.lake.event import Event

names = st.sampled_from(["Image", "image", "CommandLine", "User", "Data", "A", "B", "C"])
fields = st.dictionaries(names, st.text(max_size=5), max_size=5)
events = st.lists(st.tuples(st.sampled_from([1, 4688, 4624]), st.integers(0, 9), fields))


def row(number: int, event_id: int, time: int, own: dict[str, str]) -> Row:
    event = Event(
        uid=f"{number:032x}", host="WS1", computer="ws1", channel="X", provider="P",
        event_id=event_id, record_id=number, recorded=time, local=False, hint=None,
        ingested=None, fields=own, problem="",
    )  # fmt: skip
    return Row(event, time, "utc", "file", b"{}")


@settings(max_examples=60)
@given(events, st.integers(0, 60))
def test_each_row_has_its_events_fields_and_no_others(
    made: list[tuple[int, int, dict[str, str]]], alike: int
) -> None:
    # Many alike beside a few others: their columns are put together in another way.
    made += [(4688, 5, {"Image": "x"})] * alike
    if not made:
        return
    rows = [row(number, *parts) for number, parts in enumerate(made)]

    found = table(rows).to_pylist()

    order = [one["@event_id"] for one in found]
    assert order == sorted(order)
    assert len(found) == len(rows)
    for one in found:
        event_id, time, own = made[one["@record_id"]]
        wanted: dict[str, str] = {}
        for name, value in own.items():
            wanted.setdefault(name.lower(), value)
        held = {
            name.lower(): value
            for name, value in one.items()
            if not name.startswith("@") and value is not None
        }
        assert held == wanted
        assert one["@event_id"] == event_id
        assert one["@time"] == datetime.fromtimestamp(time / 1e6, UTC)
