"""Windows events in a table of a SQL warehouse."""
