"""End-to-end tests start real servers as child processes; nothing here imports Prefect."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[int, Any, str]]
LIMIT = 240


@pytest.fixture
def huntonce() -> Run:
    """Runs the command as a user does: (exit code, parsed --json answer, standard error)."""

    def run(
        *words: str | Path, as_json: bool = True, environment: dict[str, str] | None = None
    ) -> tuple[int, Any, str]:
        command = [sys.executable, "-m", "huntonce.cli", *map(str, words)]
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "HUNTONCE_HOME"))
        }
        done = subprocess.run(
            [*command, "--json"] if as_json else command,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={**clean, **(environment or {})},
            check=False,
        )
        answer = json.loads(done.stdout) if as_json and done.stdout.strip() else done.stdout
        return done.returncode, answer, done.stderr

    return run
