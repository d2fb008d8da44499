"""Indicators of compromise: which are worth looking for, and what of them logs can show."""
