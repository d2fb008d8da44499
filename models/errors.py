"""Every error this project raises.

HuntonceError
├── DomainError            a rule of the domain was broken; never retry
├── ConfigError            a setting or an argument is wrong; the person mends it
├── ConnectorError         something outside failed
│   ├── TransientError     may work next time: retry
│   └── TerminalError      will not work next time: stop and tell a person
│       └── UnsupportedError   this connector has no way to do what was asked
└── StateError             the store could not keep or find a record
"""


class HuntonceError(Exception):
    """Base of every error raised here.

    Attributes:
        hint: What the person can do next; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class DomainError(HuntonceError, ValueError):
    """A rule of the domain was broken."""


class ConfigError(HuntonceError):
    """A setting or an argument is wrong."""


class ConnectorError(HuntonceError):
    """An external system failed.

    Attributes:
        connector: Registered name of the connector.
        hint: What the operator can do next.
    """

    def __init__(self, message: str, *, connector: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.connector = connector


class TransientError(ConnectorError):
    """May succeed if tried again.

    Attributes:
        retry_after: Seconds the other side asked us to wait; None where it said nothing.
    """

    def __init__(
        self, message: str, *, connector: str, hint: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, connector=connector, hint=hint)
        self.retry_after = retry_after


class TerminalError(ConnectorError):
    """Will not succeed if tried again."""


class UnsupportedError(TerminalError):
    """The other side has no way to do what was asked; asking with more rights would not help."""


class StateError(HuntonceError):
    """The store could not keep or find a record."""
