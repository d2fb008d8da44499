"""Pages of a SIEM may repeat events: a result that was cut says so all the same."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from huntonce.connectors.siem.candidates import Part, Task, merged, task_of
from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.opensearch import siem as module
from huntonce.connectors.siem.opensearch.fields import PlaceFields
from huntonce.connectors.siem.opensearch.mapping import IndexMap
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.sigma.rules import search_rule
from huntonce.models.query import SigmaSearch
from huntonce.models.windows import Window
from tests.support.builders import T0
from tests.support.kits import process

WINDOW = Window(T0, T0 + timedelta(hours=1))


def rows(numbers: range) -> list[Row]:
    found = []
    for number in numbers:
        event = normalise(process("PC1", T0 + timedelta(minutes=number), "schtasks.exe /create"))
        found.append(Row(event, event.recorded, "utc", "index", ""))
    return found


def task(limit: int) -> Task:
    query = SigmaSearch(
        name="probe",
        logsource={"category": "process_creation", "product": "windows"},
        detection={"s": {"Image|endswith": "\\schtasks.exe"}, "condition": "s"},
    )
    return task_of("opensearch", search_rule(query), WINDOW, (), limit)


def test_a_reopened_point_in_time_hides_no_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def pages(*_: object) -> Iterator[list[Row]]:
        # The point in time is lost after the second page, and read again from there.
        for page in (range(2), range(2, 4), range(2, 4), range(4, 6), range(6, 8), range(8, 10)):
            read.append(page.start)
            yield rows(page)

    monkeypatch.setattr(module, "pages", pages)
    monkeypatch.setattr(module, "rows_of", lambda hits, *_: hits)
    asked = task(5)
    siem = module.OpenSearchSiem(OpenSearchSettings(url="http://127.0.0.1:9", indices=["a"]))
    place = PlaceFields.of_channel(IndexMap({}), "Security")

    table = siem._fetch("a", {}, asked, place)
    result = merged([Part("", table, frozenset({"Image"}))], asked)

    assert (len(result.table), result.truncated) == (5, True)
    assert read == [0, 2, 2, 4], "it read more than it had to"
