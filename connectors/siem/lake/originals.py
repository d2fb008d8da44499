"""What the readers of telemetry files share."""

from collections.abc import Callable

from huntonce.connectors.siem.lake.tables import TableRow

Fault = Callable[[str, str, str, bytes], None]
"""Takes the place, the reason, a hint and the refused bytes."""

Original = tuple[str, int, str | bytes | TableRow]
"""Kind of place ("line", "record" ...), its number, and one event: JSON text, or a table's row."""
