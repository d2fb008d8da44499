"""What Prefect logs of a fault: words for an expected one, the traceback too for any other."""

import logging

import pytest

from huntonce.flows import open as _open
from huntonce.models.errors import TransientError


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
