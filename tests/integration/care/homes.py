"""A home with a bit of everything, and the commands run on it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.models.outbox import Channel, Message
from huntonce.models.state.store import open_store, sqlite_url
from tests.support.sweeping import Site, event, process
from tests.unit.state.examples import a_gap

RUN = CliRunner()
WHO = {"actor": "analyst", "why": "a reason"}


def home_at(path: Path) -> Path:
    """Settings, three events of two days in the lake, two gaps and a message that was sent."""
    path.mkdir(mode=0o700)
    settings = path / "huntonce.toml"
    settings.touch(mode=0o600)
    settings.write_text('[organisation]\nname = "Care"\n')
    site = Site(path)
    site.load(process(1, r"C:\whoami.exe", "a"), event(2, "Security", 4624, LogonType="3"))
    site.load(process(90_000, r"C:\cmd.exe", "b"))
    with open_store(sqlite_url(path / "huntonce.db")) as store, store.unit() as unit:
        for number in "12":
            unit.gaps.add(a_gap(number), **WHO)
        unit.commit()
    return path


def put_message(home: Path, *, hours: float, key: str = "gap:1") -> None:
    """A message that was written so many hours ago."""
    with open_store(sqlite_url(home / "huntonce.db")) as store, store.unit() as unit:
        message = Message(
            key=key,
            channel=Channel.TICKET,
            action="create",
            target="jira",
            subject="GAP-1",
            payload={},
        )
        unit.outbox.put(message, at=store.clock() - timedelta(hours=hours))
        unit.commit()


def run(*words: object, code: int = 0) -> Any:
    """The answer of a command, which must end with this exit code."""
    done = RUN.invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if done.stdout.strip() else done.stderr


def checks(home: Path, *words: str, code: int = 0) -> dict[str, dict[str, str]]:
    """What the doctor says, by check."""
    answer = run("doctor", "--home", home, *words, code=code)
    return {check["name"]: check for check in answer["checks"]}
