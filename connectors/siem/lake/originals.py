"""What the readers of telemetry files share."""

from collections.abc import Callable

Fault = Callable[[str, str, str, bytes], None]
"""Takes the place, the reason, a hint and the refused bytes."""

Original = tuple[str, int, str | bytes]
"""Kind of place ("line", "record" ...), its number, and one event as JSON text."""
