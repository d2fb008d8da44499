"""Where evil becomes a case."""
