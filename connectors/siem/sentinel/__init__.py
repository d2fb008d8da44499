"""Windows events in a Log Analytics workspace of Microsoft Sentinel."""
