"""The fuzzer itself: it finds what random bytes do not, and every target takes its own seeds."""

import re

import pytest

from tests.fuzz import engine
from tests.fuzz.engine import Target, fuzz
from tests.fuzz.targets import TARGETS

_STAIRS = """
def climb(data):
    if data[:1] == b"h":
        if data[1:2] == b"u":
            if data[2:3] == b"n":
                if data[3:4] == b"t":
                    raise RuntimeError("at the top")
def wait(data):
    if b"w" in data:
        while True:
            pass
"""


def _ours(name: str) -> Target:
    space: dict[str, object] = {}
    path = str(engine.ROOT / "models" / "not-there.py")
    exec(compile(_STAIRS, path, "exec"), space)  # noqa: S102 - code that looks like ours
    run = space[name]
    assert callable(run)
    return Target(
        name=name, run=run, seeds=lambda: [b"....", b"hats"], words=tuple(b"_ n t u".split())
    )


def test_coverage_leads_it_up_the_stairs() -> None:
    campaign = fuzz(_ours("climb"), seconds=20, most=20_000)

    assert [finding.what for finding in campaign.findings] == ["RuntimeError in not-there.py:climb"]
    assert campaign.findings[0].data[:4] == b"hunt"
    assert campaign.corpus > 3


def test_a_hang_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HANG_SECONDS", 0.05)
    monkeypatch.setattr(engine, "_SHRINK_SECONDS", 0.2)

    campaign = fuzz(_ours("wait"), seconds=5, most=300)

    assert not campaign.findings or campaign.findings[0].what.startswith("HangError")
    assert fuzz(
        Target(name="w", run=_ours("wait").run, seeds=lambda: [b"w"]), seconds=0
    ).findings, "the seed itself hangs"


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_takes_its_seeds_and_some_changes_of_them(target: Target) -> None:
    given = target.seeds()
    for data in given:
        try:
            target.run(data)
        except target.expected as error:
            assert re.search(r"\w", str(error))  # noqa: PT017 - the words are what matters

    campaign = fuzz(target, seconds=1.5, seed=1, most=len(given) + 60)

    assert campaign.findings == []
    assert campaign.edges > 20
