"""The SIEM and the attribution of rows mean the same by the same test."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.memory import MemorySiem
from huntonce.models.indicators.matching import Tree, detection, holds
from huntonce.models.indicators.patterns import FieldTest, Group, Op
from huntonce.models.query import SigmaSearch
from huntonce.models.windows import HOUR, Window
from tests.support.kits import event

T = datetime(2026, 3, 2, 8, tzinfo=UTC)
SYSMON = "Microsoft-Windows-Sysmon/Operational"
VALUES = (
    "C:\\Windows\\evil.exe",
    "C:\\Users\\x\\EVIL.exe",
    "100%_done*?",
    "10.1.2.3",
    "9.9.9.9",
    "443",
    "it's \\* a \\ test",
    "ümlaut",
)
SIEM = MemorySiem(
    event(SYSMON, 11, "PC1", T, TargetFilename=value, Number=str(index))
    for index, value in enumerate(VALUES)
)
PIECES = st.sampled_from(
    [*VALUES, "evil", ".exe", "C:\\", "%", "_", "*", "?", "\\", "'", "0", "LAUT", "d*?"]
)
TEXTS = st.builds("".join, st.lists(PIECES, min_size=1, max_size=2))
PLAIN = (Op.EQUALS, Op.CONTAINS, Op.STARTS, Op.ENDS, Op.LIKE)
TESTS = st.builds(
    lambda op, value, negated: FieldTest(
        field="TargetFilename", op=op, value=value, negated=negated
    ),
    st.sampled_from(PLAIN),
    TEXTS,
    st.booleans(),
)
CIDRS = st.sampled_from(["10.1.0.0/16", "9.9.9.9/32", "0.0.0.0/0"]).map(
    lambda value: FieldTest(field="TargetFilename", op=Op.CIDR, value=value)
)
TREES = st.recursive(
    st.one_of(TESTS, CIDRS),
    lambda below: st.builds(
        lambda every, parts: Group(every, tuple(parts)),
        st.booleans(),
        st.lists(below, min_size=2, max_size=3),
    ),
    max_leaves=5,
)


def like(value: str) -> FieldTest:
    return FieldTest(field="TargetFilename", op=Op.LIKE, value=value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([like("%100%_done*%")])
@example([like("_t's \\* a \\ %")])
@given(st.lists(TREES, min_size=1, max_size=4))
def test_what_a_search_finds_is_what_its_trees_hold(trees: list[Tree]) -> None:
    query = SigmaSearch(
        name="t",
        logsource={"product": "windows", "category": "file_event"},
        detection=detection(trees),
        fields=("TargetFilename",),
    )

    found = SIEM.search(query, Window(T, T + HOUR)).table.column("TargetFilename").to_pylist()

    wanted = {v for v in VALUES if any(holds(tree, {"TargetFilename": v}) for tree in trees)}
    assert set(found) == wanted
