"""Settings of the test run as a whole."""

import os

from hypothesis import settings

# CI draws the same examples each time, so that a red run is about the change; a developer's run
# explores.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

pytest_plugins = [
    "tests.support.clusters",
    "tests.support.sentinel.fixtures",
    "tests.support.splunks",
    "tests.support.warehouses",
]
