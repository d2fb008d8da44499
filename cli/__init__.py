"""The ``huntonce`` command: a thin face over flows and stages."""
