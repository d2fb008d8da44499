"""What a merged file of the lake takes over from the files that it was made of."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from huntonce.connectors.siem.lake.merges import Tree


def common(name: str, made: Tree, searched: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Marks of the rules that were run over every event of a merged file."""
    own = searched.get(name, frozenset())
    sources = made.get(name, ())
    if not sources:
        return own
    return own | frozenset.intersection(*(common(one, made, searched) for one in sources))


def renumbered(hits: pa.Table, moved: Mapping[int, int]) -> pa.Table:
    """The hits under the numbers of the files that their events are in now."""
    at = hits.schema.get_field_index("file")
    numbers = hits.column("file").to_numpy()
    top = int(max(numbers.max(initial=0), *moved)) + 1
    table = np.arange(top, dtype=np.int64)
    table[list(moved)] = list(moved.values())
    return hits.set_column(at, "file", pa.array(table[numbers]))
