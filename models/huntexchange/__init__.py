"""Hunts in the formats that others use: hunt.md, and MISP events with HUNT-EX objects."""
