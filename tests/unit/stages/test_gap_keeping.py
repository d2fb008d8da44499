"""One gap, several who ran into it: what is kept of what each of them says."""

from dataclasses import replace
from pathlib import Path

from huntonce.models.gap import Gap, GapKind
from huntonce.models.stages.gapkeeping import keep_gap
from tests.support.builders import window
from tests.support.kits import bench
from tests.unit.state.examples import a_gap

ALL = tuple(f"PC{number}" for number in range(40))


def test_who_asks_for_few_hosts_does_not_shrink_the_population_of_who_asks_for_all(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path)
    wide = replace(
        a_gap("1"),
        gap_kind=GapKind.PARTIAL_POPULATION,
        hosts=ALL[:4],
        population=len(ALL),
        unlocks=("h-all",),
    )
    narrow = replace(wide, hosts=ALL[3:5], population=2, unlocks=("h-controllers",))

    def kept(*gaps: Gap) -> Gap:
        with made.unit() as unit:
            for gap in gaps:
                last = keep_gap(unit, made.kit, gap, by="PROBE", window=window(), now=made.clock())
            return last

    for order in ((wide, narrow), (narrow, wide)):
        found = kept(*order)
        assert found.hosts == ALL[:5]
        assert found.population == len(ALL)
        assert found.gap_kind is GapKind.PARTIAL_POPULATION
