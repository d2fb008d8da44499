"""Stores on both databases."""

from tests.support.stores import address, store

__all__ = ["address", "store"]
