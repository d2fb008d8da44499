"""Orchestration: the only code that knows Prefect, and the composition root."""
