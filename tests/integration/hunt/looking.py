"""Hunts over a lake of its own: load, look, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.profile import Profile
from huntonce.models.stages.hunt import HuntResult, hunt, prepare
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import default_window, find_target
from huntonce.models.stages.promote import Promotion, promote
from tests.support.kits import bench


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A hunt for T1053.005 over everything that a lake holds."""

    kit: Kit
    result: HuntResult
    promotion: Promotion


def look_at(home: Path, logs: Sequence[Path], profile: Profile | None = None) -> Seen:
    """Load logs into a lake below ``home`` and hunt."""
    load_paths(home / "lake", logs)
    made = bench(home)
    kit = replace(made.kit, siem=Lake(home / "lake"), profile=profile or Profile())
    target = find_target(kit, "T1053.005")
    sight, gaps = prepare(kit, target, default_window(kit))
    result = hunt(kit, target, sight, gaps)
    promotion = promote(kit, result)
    made.store.close()
    return Seen(kit=kit, result=result, promotion=promotion)
