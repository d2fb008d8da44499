"""The bar of long work asks the server only where it moves."""

from uuid import UUID, uuid4

import pytest

from huntonce.flows import progress
from huntonce.flows.progress import Progress


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the server was told."""
    told: list[float] = []
    made = uuid4()

    def update(artifact: UUID, share: float) -> None:
        assert artifact == made
        told.append(share)

    monkeypatch.setattr(progress, "create_progress_artifact", lambda *_, **__: made)
    monkeypatch.setattr(progress, "update_progress_artifact", update)
    return told


def test_five_hundred_steps_are_at_most_a_hundred_updates(shown: list[float]) -> None:
    bar = Progress("hunts", "Hunts")
    for done in range(501):
        bar.at(done, 500)

    assert 90 < len(shown) <= 100
    assert shown == sorted(set(shown))
    assert shown[-1] == 100


def test_few_steps_are_shown_each(shown: list[float]) -> None:
    bar = Progress("hunts", "Hunts")
    for done in range(4):
        bar.at(done, 3)

    assert shown == [33.3, 66.7, 100]


def test_nothing_to_do_is_done(shown: list[float]) -> None:
    Progress("hunts", "Hunts").at(0, 0)

    assert shown == [100]
