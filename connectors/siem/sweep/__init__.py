"""Thousands of Sigma rules over the lake in one pass."""
