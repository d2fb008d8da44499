"""Data that we wrote: hunts, evidence, intel for the demo, facts of ATT&CK. No code."""
