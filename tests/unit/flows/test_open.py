"""What flows share: what is logged of a fault, and what is tried again."""

import logging

import pytest

from huntonce.flows import open as _open
from huntonce.models.errors import DomainError, TransientError


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("name", ["prefect.flow_runs", "prefect.task_runs"])
@pytest.mark.parametrize(
    ("error", "traced"),
    [(TransientError("no answer", connector="x"), False), (KeyError("a bug"), True)],
)
def test_only_a_fault_that_nobody_expected_is_logged_with_its_traceback(
    name: str, error: Exception, *, traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert _open.opaque  # the module that flows open homes with sets it up
    logger = logging.getLogger(name)
    logger.addHandler(caplog.handler)
    with pytest.raises(type(error)) as caught:
        fail(error)
    logger.error("Task run failed with exception: %r", error, exc_info=caught.value)
    logger.removeHandler(caplog.handler)

    assert repr(error) in caplog.text
    assert ("Traceback" in caplog.text) is traced


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries."""
    pauses: list[float] = []
    monkeypatch.setattr(_open.time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("faults", [0, 1, 2])
def test_what_may_pass_is_tried_again(waited: list[float], faults: int) -> None:
    left = [TransientError("no answer", connector="x")] * faults

    def work() -> str:
        if left:
            raise left.pop()
        return "found"

    assert _open.again(work) == "found"
    assert waited == [_open.RETRY_AFTER] * faults


@pytest.mark.parametrize(
    ("error", "tries"),
    [(TransientError("no answer", connector="x"), 3), (DomainError("no"), 1), (KeyError("bug"), 1)],
)
def test_what_does_not_pass_is_raised_as_it_is(
    waited: list[float], error: Exception, tries: int
) -> None:
    tried = []

    def work() -> None:
        tried.append(1)
        raise error

    with pytest.raises(type(error)) as caught:
        _open.again(work)
    assert caught.value is error
    assert len(tried) == tries
    assert len(waited) == tries - 1
