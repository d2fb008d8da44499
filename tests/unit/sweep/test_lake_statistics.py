"""What a file of the lake says about its classes is what is in it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.siem.lake.statistics import measure, read_classes, with_statistics
from huntonce.models.query import TIME

rows = st.lists(
    st.tuples(st.integers(1, 4), st.none() | st.just("x"), st.none() | st.just("y")),
    min_size=1,
    max_size=20,
)


def table(found: list[tuple[int, str | None, str | None]]) -> pa.Table:
    ids, a, b = zip(*found, strict=True)
    return pa.table(
        {
            "@event_id": pa.array(ids, pa.int64()),
            "@time": pa.array(range(len(found)), pa.int64()).cast(TIME),
            "A": pa.array(a, pa.string()),
            "B": pa.array(b, pa.string()),
        }
    )


@given(rows)
def test_classes_are_counted_with_the_columns_that_have_values(
    found: list[tuple[int, str | None, str | None]],
) -> None:
    held = measure(table(found))

    assert held.ordered == (sorted(row[0] for row in found) == [row[0] for row in found])
    assert (held.first, held.last) == (0, len(found) - 1)
    for run in held.runs:
        own = [row for row in found if row[0] == run.event_id]
        assert run.rows == len(own)
        assert ("A" in run.columns) == any(row[1] for row in own)
        assert ("B" in run.columns) == any(row[2] for row in own)
    assert sum(run.rows for run in held.runs) == len(found)


def test_the_footer_and_a_file_without_one_say_the_same(tmp_path: Path) -> None:
    content = table([(1, "x", None), (1, None, None), (2, None, "y")])
    pq.write_table(content, tmp_path / "old.parquet")
    pq.write_table(with_statistics(content), tmp_path / "new.parquet")

    assert read_classes(tmp_path / "old.parquet") == read_classes(tmp_path / "new.parquet")
    assert with_statistics(content.slice(0, 0)).num_rows == 0
