"""The report flow's pages: every number, the span before, and tables that Prefect can take."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from huntonce.flows import programme
from huntonce.flows.bootstrap import Home
from huntonce.models.report.definitions import DEFINITIONS
from huntonce.models.report.markdown import escape
from tests.unit.report.report_examples import Turning, fill


def test_the_flow_shows_every_number_and_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(path=tmp_path, clock=Turning())
    fill(home.store, Turning(), "<b>actor</b> | x")
    home.close()
    pages: list[dict[str, Any]] = []
    for name in ("create_markdown_artifact", "create_table_artifact"):
        monkeypatch.setattr(programme, name, lambda **values: pages.append(values))

    answer = programme.report.fn(days=0, home=str(tmp_path))

    page, *tables = pages
    assert answer["gaps_surfaced"] == 2
    assert all(escape(d.label) in page["markdown"] for d in DEFINITIONS.values())
    assert page["markdown"].index("## Gaps") < page["markdown"].index("## Detections")
    assert tables
    for table in tables:
        assert re.fullmatch(r"[a-z0-9-]+", table["key"])
        json.dumps(table["table"], allow_nan=False)
    assert Path(answer["files"][0]).exists()
