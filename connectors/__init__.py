"""Adapters to the outside: each returns domain values."""
