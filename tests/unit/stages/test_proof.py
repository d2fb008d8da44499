"""What several hunts need to know of their evidence is measured once, and means the same."""

from pathlib import Path

import pyarrow as pa
import pytest

from huntonce.models.stages.hunt import prepare
from huntonce.models.stages.probe import look
from huntonce.models.stages.proof import Probes
from huntonce.models.windows import Window
from tests.support.builders import hypothesis, window
from tests.support.kits import HOURS, bench, quiet_day

ASKED = ("T1053.005", "T1543.003", "T1003.001")


def test_measured_together_it_is_what_each_would_have_measured(tmp_path: Path) -> None:
    kit = bench(tmp_path, quiet_day(no_audit=("SRV1",))).kit
    span = window(HOURS)
    probes = Probes(kit)

    probes.together([kit.library.evidence[each] for each in ASKED], span)

    for each in ASKED:
        model = kit.library.evidence[each]
        alone = look(kit.siem, model, span, kit.profile, now=kit.clock())
        assert probes.sight(model, span) == alone


def test_the_siem_is_asked_once_for_the_hunts_of_a_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = bench(tmp_path, quiet_day()).kit
    span, asked, real = window(HOURS), [], kit.siem.inventory

    def inventory(of: Window) -> pa.Table:
        asked.append(of)
        return real(of)

    monkeypatch.setattr(kit.siem, "inventory", inventory)
    probes = Probes(kit)
    probes.together([kit.library.evidence[each] for each in ASKED], span)
    for each in ASKED:
        prepare(kit, hypothesis(technique_id=each), span, probes)

    assert asked == [span]
    prepare(kit, hypothesis(technique_id=ASKED[0]), window(HOURS - 1), probes)
    assert len(asked) == 2  # another window is another question
