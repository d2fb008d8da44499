"""Metrics: the programme in numbers, each computed from recorded events and never typed in."""
