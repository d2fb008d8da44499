"""The page of a full programme and of hostile data, rendered once."""

from collections.abc import Iterator

import pytest

from huntonce.flows.reporting import page_parts
from huntonce.models.report.html import render_html
from huntonce.models.report.programme import Programme
from huntonce.models.state.store import Store
from tests.unit.report.report_examples import Turning, fill, opened, read


def page_of(shown: Programme) -> str:
    template, css = page_parts()
    return render_html(shown, template=template, css=css)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    clock = Turning()
    with opened(tmp_path_factory.mktemp("report"), clock) as full:
        fill(full, clock)
        yield full


@pytest.fixture(scope="module")
def shown(store: Store) -> Programme:
    return read(store)


@pytest.fixture(scope="module")
def page(shown: Programme) -> str:
    return page_of(shown)
