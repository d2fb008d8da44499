"""Real data that stands beside the checkout, for the tests that use it."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shared_data(*parts: str) -> Path:
    """A path below the shared data folder; skips the test, and says so, where it is absent."""
    base = Path(os.environ.get("HUNTONCE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data not here: {Path(*parts)} (set HUNTONCE_SHARED_DATA)")
    return path
