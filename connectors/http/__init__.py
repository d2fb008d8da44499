"""One HTTP client for every connector."""
