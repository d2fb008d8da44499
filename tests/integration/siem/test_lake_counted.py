"""Searches counted in one pass say what each of them says alone, row for row."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.lake import statistics
from huntonce.connectors.siem.lake.layout import files, partitions
from huntonce.connectors.siem.lake.upkeep import compact
from huntonce.connectors.siem.sweep.countedlake import CountedLake
from huntonce.models.errors import TransientError, UnsupportedError
from huntonce.models.query import SigmaSearch
from huntonce.models.windows import Window
from tests.support.sweeping import START, SYSMON, Site, event

pytestmark = pytest.mark.integration

WINDOWS = (
    Window(START - timedelta(days=1), START + timedelta(days=9)),
    Window(START + timedelta(minutes=17), START + timedelta(hours=31, seconds=2)),
    Window(START + timedelta(days=30), START + timedelta(days=31)),
)


def search(**detection: Any) -> SigmaSearch:
    return SigmaSearch(
        name="some",
        logsource={"product": "windows", "service": "sysmon"},
        detection={"some": detection, "condition": "some"},
    )


SEARCHES = (
    search(EventID=[1, 3], **{"Image|endswith": ["\\A.exe", "é.exe"]}),
    search(EventID=1, **{"Image|contains": "a", "CommandLine|startswith": "x"}),
    search(EventID=3, CommandLine=["", "-", "10"]),
    search(EventID=3, CommandLine=10),
    search(**{"CommandLine|re": "x.*"}),
    search(Nowhere="x"),
    search(EventID=9),
)

texts = st.sampled_from(
    ["", "-", " ", " - ", "10", "10.0", r"C:\a.exe", r"C:\B\A.EXE", "É.exe", "x y", "xA"]
)
events = st.builds(
    lambda channel, number, host, after, fields: (channel, number, host, after, fields),
    st.sampled_from([SYSMON, "Security"]),
    st.sampled_from([1, 3, 9]),
    st.sampled_from(["PC1", "pc2.corp.example", "É3"]),
    st.integers(0, 200_000),
    st.dictionaries(st.sampled_from(["Image", "CommandLine", "Other"]), texts),
)


def written(site: Site, found: list[Any], start: int = 0) -> None:
    site.load(
        *(
            event(start + number, channel, event_id, host=host, after=after, **fields)
            for number, (channel, event_id, host, after, fields) in enumerate(found)
        )
    )


def compare(lake: CountedLake) -> None:
    for window in WINDOWS:
        together = lake.counts_of(SEARCHES, window)
        for query, counted in zip(SEARCHES, together, strict=True):
            assert isinstance(counted, pa.Table)
            assert counted.equals(lake.counts(query, window)), query


@settings(max_examples=12, deadline=None)
@given(st.lists(events, min_size=1, max_size=30), st.lists(events, max_size=30), st.booleans())
def test_sums_are_what_a_query_says(one: list[Any], other: list[Any], merged: bool) -> None:
    with TemporaryDirectory() as folder:
        site = Site(Path(folder))
        written(site, one)
        if other:
            written(site, other, start=1000)
        if merged:
            compact(site.lake, grace=0)
        compare(CountedLake(site.lake))


def rewrite(root: Path, metadata: bytes | None) -> int:
    """Give every file another footer."""
    count = 0
    for partition in partitions(root):
        for path in files(root, partition):
            table = pq.ParquetFile(path).read()
            told = {} if metadata is None else {statistics.KEY: metadata}
            pq.write_table(table.replace_schema_metadata(told), path)
            count += 1
    return count


PLENTY = [
    (SYSMON, number % 3, host, 60 * number, {"Image": r"C:\a.exe", "CommandLine": "-"})
    for number in range(40)
    for host in ("PC1", "PC2")
]
LIE = b'{"version":1,"first":5,"last":9,"ordered":true,"names":["Image"],"runs":[[1,0,7,[0]]]}'


@pytest.mark.parametrize("metadata", [None, b"{", LIE], ids=["older", "damaged", "untrue"])
def test_a_footer_that_does_not_tell_all_rows_is_not_believed(
    tmp_path: Path, metadata: bytes | None
) -> None:
    site = Site(tmp_path)
    written(site, PLENTY)
    expected = CountedLake(site.lake).counts(SEARCHES[0], WINDOWS[0])

    assert rewrite(site.lake, metadata)
    lake = CountedLake(site.lake)

    (found,) = lake.counts_of(SEARCHES[:1], WINDOWS[0])
    assert found.equals(expected)
    compare(lake)


def test_fields_in_two_spellings_are_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.load(event(1, SYSMON, 1, Image=r"C:\a.exe"), event(2, SYSMON, 3, CommandLine="10"))
    site.load(event(3, SYSMON, 1, IMAGE=r"C:\a.exe"), event(4, SYSMON, 1, commandline="-"))

    compare(CountedLake(site.lake))


def test_a_file_that_cannot_be_read_is_no_empty_answer(tmp_path: Path) -> None:
    site = Site(tmp_path)
    written(site, PLENTY)
    (partition, *_) = partitions(site.lake)
    files(site.lake, partition)[0].write_bytes(b"PAR1 no longer")

    for ask in (lambda lake: lake.counts_of(SEARCHES, WINDOWS[0]),):
        with pytest.raises(TransientError):
            ask(CountedLake(site.lake))


def test_a_search_that_cannot_be_run_says_so_beside_those_that_can(tmp_path: Path) -> None:
    site = Site(tmp_path)
    written(site, PLENTY)
    wrong = search(**{"Image|re": "(?=a)"})
    unknown = SigmaSearch(name="other", logsource={"product": "linux"}, detection={})

    good, bad, worse = CountedLake(site.lake).counts_of([SEARCHES[0], unknown, wrong], WINDOWS[0])

    assert isinstance(good, pa.Table)
    assert good.num_rows
    assert isinstance(bad, UnsupportedError)
    assert isinstance(worse, Exception)
