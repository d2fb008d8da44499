"""One hunt, the same findings: on events in memory, and on a Splunk that holds them.

Splunk is a stand-in (tests/support/splunk_server): it reads the SPL and answers as documented.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from huntonce.models.ports import Siem
from huntonce.models.stages.operate import carry_out, find_target
from huntonce.models.stages.settle import Settled
from huntonce.models.windows import Window
from tests.support.builders import T0
from tests.support.kits import Event, bench, intrusion, quiet_day, with_kit

HOURS = 8
EVENTS = [*quiet_day(hours=HOURS, no_audit=("SRV1",)), *intrusion(hour=3)]


def hunt(folder: Path, events: list[Event], siem: Siem | None = None) -> Settled:
    folder.mkdir()
    made = bench(folder, events)
    if siem is not None:
        made = with_kit(made, siem=siem)
    made.clock.moment = T0 + timedelta(hours=HOURS + 1)
    target = find_target(made.kit, "T1053.005")
    return carry_out(made.kit, target, Window(T0, T0 + timedelta(hours=HOURS)))[1]


def told(found: Settled) -> dict[str, Any]:
    """What a hunt ended in, without names of the SIEM and of this run."""
    return {
        "verdict": found.hypothesis.verdict,
        "findings": sorted(
            (one.entity, one.title, one.score, one.hosts, one.accounts, one.first, one.last,
             sorted(ref.uid for ref in one.events), one.analytics,
             sorted(one.details.items()))
            for one in found.findings
        ),
        "gaps": sorted(
            (str(gap.gap_kind), gap.source, gap.atom_id, gap.field_name, gap.hosts)
            for gap in found.gaps
        ),
        "detections": sorted(one.rule_id for one in found.detections),
        "not automated": found.not_automated,
    }  # fmt: skip


def test_a_hunt_on_splunk_ends_in_the_same_findings(
    tmp_path: Path, in_splunk: Callable[[list[Event]], Siem]
) -> None:
    ours = told(hunt(tmp_path / "ours", EVENTS))

    theirs = told(hunt(tmp_path / "theirs", [], in_splunk(EVENTS)))

    assert [one[0] for one in ours["findings"]], "the intrusion was not found at all"
    assert ours["gaps"], "PC2 has no command line"
    assert theirs == ours
