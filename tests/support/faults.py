"""How many of the combined faults a run of the tests tries."""

import os

ALL_FAULTS = os.environ.get("HUNTONCE_TEST_FAULTS") == "all"
"""Every fault at every point; else each fault at one of them, in turn."""
