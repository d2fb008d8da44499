"""One small lab, generated once."""

import pytest

from huntonce.models.lab.company import LabSpec
from tests.unit.lab.labs import Lab, make


@pytest.fixture(scope="session")
def lab() -> Lab:
    return make(LabSpec(hosts=60))
