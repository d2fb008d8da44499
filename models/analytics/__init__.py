"""Hunting analytics: pure functions over event tables."""
