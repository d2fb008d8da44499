"""Stores for the tests of deriving and hunting in parallel."""

from tests.support.stores import address

__all__ = ["address"]
