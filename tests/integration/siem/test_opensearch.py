"""What only a cluster can do to a search: limits of its index, its faults, its points in time."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from huntonce.connectors.siem.opensearch.cluster import Cluster
from huntonce.connectors.siem.opensearch.dsl import ALL
from huntonce.connectors.siem.opensearch.paging import pages
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.opensearch.siem import OpenSearchSiem
from huntonce.models.errors import TerminalError
from huntonce.models.ports import Siem
from huntonce.models.query import FieldWant, SigmaSearch
from huntonce.models.windows import Window
from tests.contract.siem.test_siem_contract import EVENTS, START, SYSMON, WINDOW, event, search
from tests.support.winlogbeat import MAPPINGS, Indexer, document

pytestmark = pytest.mark.integration

Open = Callable[[list[dict[str, Any]]], Siem]


def process(minutes: float, image: str, **more: object) -> dict[str, Any]:
    return event(minutes, "ws1", SYSMON, 1, Image=image, **more)


def images(siem: Siem, **selection: object) -> list[str | None]:
    detection: dict[str, object] = {"s": selection, "condition": "s"}
    found = siem.search(search(detection, fields=("Image",)), WINDOW).table
    images: list[str | None] = found.column("Image").to_pylist()
    return images


def over(url: str, index: str, **more: Any) -> OpenSearchSiem:
    return OpenSearchSiem(OpenSearchSettings(url=url, indices=[f"{index}*"], **more))


def test_a_value_too_long_to_be_indexed_is_found(in_opensearch: Open) -> None:
    long = "powershell " + "A" * 5_000 + " -needle"
    siem = in_opensearch([process(1, "a.exe", Details=long), process(2, "b.exe", Details="x")])

    assert images(siem, **{"Details|endswith": "-NEEDLE"}) == ["a.exe"]
    filled = siem.field_fill(WINDOW, [FieldWant(channel=SYSMON, event_id=1, fields=("Details",))])
    assert filled.column("filled").to_pylist() == [2]


def test_a_field_of_which_every_value_is_too_long_is_not_called_absent(
    in_opensearch: Open,
) -> None:
    siem = in_opensearch([process(1, "a.exe", Blob="y" * 3_000 + "needle")])
    detection: dict[str, object] = {"s": {"Blob|contains": "needle"}, "condition": "s"}

    result = siem.search(search(detection), WINDOW)

    assert (len(result.table), result.absent_fields) == (1, ())


HOSTILE = (
    *("*", "a\\b*", 'x" OR _exists_:"a', "(winlog", "/.*/", "a:b", "{}", "x\\", "?", "&& ||"),
    *("[1 TO 2]", "\u0130", "a\nb"),
)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_a_value_and_nothing_else(in_opensearch: Open, value: str) -> None:
    siem = in_opensearch([process(1, f"C:\\{value}.exe"), process(2, "C:\\other.exe")])
    written = value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")

    assert images(siem, Image=f"C:\\\\{written}.exe") == [f"C:\\{value}.exe"]


def test_letters_beyond_ascii_match_in_either_case(in_opensearch: Open) -> None:
    siem = in_opensearch([process(1, "C:\\ÜBER.exe"), process(2, "C:\\uber.exe")])

    assert images(siem, **{"Image|endswith": "\\über.exe"}) == ["C:\\ÜBER.exe"]


def test_a_field_that_a_pipeline_moved_is_still_found_and_shown(
    opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    moved = document(process(1, "C:\\a\\cmd.exe"))
    del moved["winlog"]["event_data"]["Image"]
    indexer.create(fresh_index)
    indexer.load(fresh_index, [moved])
    with closing(over(opensearch_url, fresh_index)) as siem:
        assert images(siem, **{"Image|endswith": "\\CMD.exe"}) == ["C:\\a\\cmd.exe"]


def test_a_field_that_is_stored_without_a_mapping_is_named_and_is_no_empty_answer(
    opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    closed = {**MAPPINGS, "dynamic": False}
    indexer.create(fresh_index, closed)
    indexer.load(fresh_index, [document(process(1, "a.exe", Hashes="MD5=1"))])
    query = SigmaSearch(
        name="hashes",
        logsource={"category": "process_creation", "product": "windows"},
        detection={"s": {"Hashes|contains": "MD5=1"}, "condition": "s"},
    )
    want = FieldWant(channel=SYSMON, event_id=1, fields=("Hashes", "Nowhere"))
    with closing(over(opensearch_url, fresh_index)) as siem:
        result = siem.search(query, WINDOW)
        filled = siem.field_fill(WINDOW, [want]).column("filled").to_pylist()

    assert result.unmapped_fields == ("Hashes",)
    assert filled == [None, 0]


def test_no_such_index_is_an_error_and_not_an_empty_answer(opensearch_url: str) -> None:
    with (
        closing(over(opensearch_url, "nowhere")) as siem,
        pytest.raises(TerminalError, match="no such index"),
    ):
        siem.inventory(WINDOW)


def test_another_kind_of_index_is_an_error_and_not_an_empty_answer(
    opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    indexer.create(fresh_index, {"properties": {"a": {"type": "keyword"}}})
    with (
        closing(over(opensearch_url, fresh_index)) as siem,
        pytest.raises(TerminalError, match="no Windows events"),
    ):
        siem.inventory(WINDOW)


def test_small_pages_lose_and_double_nothing(
    opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    same_moment = [event(1, f"ws{number}", SYSMON, 1, Image="a.exe") for number in range(23)]
    indexer.create(fresh_index)
    indexer.load(fresh_index, [document(one) for one in same_moment])
    with closing(over(opensearch_url, fresh_index, page_size=4)) as siem:
        assert len(images(siem, Image="a.exe")) == 23


def test_a_search_that_would_read_too_much_is_refused(
    opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    indexer.create(fresh_index)
    indexer.load(fresh_index, [document(one) for one in EVENTS])
    with (
        closing(over(opensearch_url, fresh_index, max_examined=1)) as siem,
        pytest.raises(TerminalError, match="more than 1 events"),
    ):
        images(siem, **{"Image|endswith": ".exe"})


def test_a_reader_that_stops_leaves_nothing_open_on_the_cluster(
    opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    indexer.create(fresh_index)
    indexer.load(fresh_index, [document(process(number, "a.exe")) for number in range(9)])
    cluster = Cluster("probe", OpenSearchSettings(url=opensearch_url))
    stream = pages(cluster, fresh_index, ALL, WINDOW, 2)
    next(stream)
    assert held(indexer) == 1

    stream.close()

    assert held(indexer) == 0
    cluster.close()


def held(indexer: Indexer) -> int:
    return len(indexer.get("/_search/point_in_time/_all").get("pits", []))


def test_a_lost_point_in_time_is_opened_anew_where_the_reading_stood(
    opensearch_url: str, indexer: Indexer, fresh_index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexer.create(fresh_index)
    indexer.load(fresh_index, [document(process(number, f"{number}.exe")) for number in range(9)])
    cluster = Cluster("probe", OpenSearchSettings(url=opensearch_url))
    opened: list[str] = []
    usual = cluster.open_pit

    def open_pit(indices: str) -> str:
        opened.append(usual(indices))
        return opened[-1]

    monkeypatch.setattr(cluster, "open_pit", open_pit)
    seen: set[str] = set()
    for number, hits in enumerate(pages(cluster, fresh_index, ALL, WINDOW, 2)):
        seen |= {hit["_id"] for hit in hits}
        if number == 1:
            cluster.close_pit(opened[0])

    assert len(opened) == 2
    assert len(seen) == 9
    cluster.close()


def test_the_window_of_a_page_ends_before_it_ends(in_opensearch: Open) -> None:
    siem = in_opensearch([process(1, "a.exe"), process(2, "b.exe")])
    detection: dict[str, object] = {"s": {"Image|endswith": ".exe"}, "condition": "s"}
    until = Window(START, START + timedelta(minutes=2))

    found = siem.search(search(detection, fields=("Image",)), until).table

    assert found.column("Image").to_pylist() == ["a.exe"]
