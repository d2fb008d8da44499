"""Interrupted anywhere and started again, a pull ends with the store of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.models.errors import ConnectorError
from huntonce.models.intake import NOTHING
from huntonce.models.stages.collect import collect
from huntonce.models.state.store import Store, open_store, sqlite_url, utcnow
from tests.integration.intel.conftest import Behind, contents, fresh
from tests.support.faulty_proxy import Fault, Habit
from tests.support.medallion_peer import PASSWORD, USER

pytestmark = pytest.mark.integration
PULLS = 40


class Killed(BaseException):
    """Stands for the end of the process."""


class Killable:
    """A source that dies after so many batches."""

    def __init__(self, source: TaxiiSource, after: int | None) -> None:
        self.source, self.after = source, after
        self.name, self.selection = source.name, source.selection

    def pull(self, cursor: str | None, *, whole: Mapping[str, int] = NOTHING) -> Any:
        for number, batch in enumerate(self.source.pull(cursor, whole=whole)):
            if number == self.after:
                raise Killed
            yield batch


def pull(source: TaxiiSource, store: Store, kill_after: int | None = None) -> bool:
    """Whether the pull came to its end."""
    try:
        collect(Killable(source, kill_after), store.unit, utcnow)
    except (ConnectorError, Killed):
        return False
    return True


@pytest.fixture(scope="session")
def undisturbed(
    behind: Behind, empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    behind.proxy.reset()
    with fresh(empty_store, tmp_path_factory.mktemp("calm")) as store:
        assert pull(behind.source(), store)
        found = contents(store)
    assert len(found["intel_object"]) > 25
    assert len(found["set_aside"]) == 1
    assert found["intel_cursor"]
    return found


SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
schedules = st.lists(
    st.none() | st.sampled_from([one for one in Fault if one is not Fault.LATE]), max_size=14
)
kills = st.lists(st.none() | st.integers(0, 9), max_size=5)
habits = st.sets(st.sampled_from([Habit.CAPS_LIMIT, Habit.NO_MANIFEST, Habit.IGNORES_ADDED_AFTER]))


@settings(max_examples=25, deadline=None, suppress_health_check=SHARED)
@given(
    schedule=schedules,
    killed=kills,
    always=habits,
    attempts=st.integers(1, 3),
    overlap=st.sampled_from([0, 0.5, 30]),
)
def test_faults_and_kills_anywhere_leave_the_same_store(  # noqa: PLR0917 - fixtures and draws
    behind: Behind,
    empty_store: Path,
    undisturbed: dict[str, Any],
    tmp_path: Path,
    schedule: list[Fault | None],
    killed: list[int | None],
    always: set[Habit],
    attempts: int,
    overlap: float,
) -> None:
    behind.proxy.reset(*schedule, always=always)
    source = behind.source(attempts=attempts, overlap_seconds=overlap)
    kill_points = iter(killed)
    with fresh(empty_store, tmp_path) as store:
        for _ in range(PULLS):
            done = pull(source, store, next(kill_points, None))
            if done and not behind.proxy.script:
                break
        assert done

        found, calm = contents(store), dict(undisturbed)
        # A server that repeats its last page may leave the cursor earlier: that costs duplicates,
        # a later one would cost objects.
        assert found.pop("intel_cursor") <= calm.pop("intel_cursor")
        assert found == calm


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("at", [0, 2])
def test_each_fault_alone_is_got_over(
    behind: Behind,
    empty_store: Path,
    undisturbed: dict[str, Any],
    tmp_path: Path,
    fault: Fault,
    at: int,
) -> None:
    behind.proxy.reset(*[None] * at, fault)
    with fresh(empty_store, tmp_path) as store:
        while not pull(behind.source(overlap_seconds=0), store):
            pass

        assert contents(store) == undisturbed


@pytest.mark.parametrize("page", [1, 2, 4, 7])
def test_a_pulling_process_that_is_killed_loses_nothing(
    behind: Behind, undisturbed: dict[str, Any], tmp_path: Path, page: int
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "huntonce.toml").write_text(
        f'[intel.feed]\nurl = "{behind.url}"\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
        "page_size = 4\n"
    )
    command = [sys.executable, "-m", "huntonce.cli", "intel", "pull", "--json", "--home", str(home)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HUNTONCE_")}
    behind.proxy.reset()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:

        def kill(number: int) -> None:
            if number == page:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

        behind.proxy.watch = kill
        assert process.wait(60) == -signal.SIGKILL

    behind.proxy.reset()
    with open_store(sqlite_url(home / "huntonce.db")) as store, store.unit() as unit:
        (health,) = unit.feeds.health()
        assert (health.state, health.cursor) == ("interrupted", None)
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 3, done.stderr  # one object is set aside
    assert json.loads(done.stdout)["failed"] == []
    with open_store(sqlite_url(home / "huntonce.db")) as store:
        assert contents(store) == undisturbed
