"""Values for the placeholders of rules that use the ``expand`` modifier."""

from pathlib import Path

from huntonce.connectors.sigma.rules import load_documents
from huntonce.models.errors import ConfigError, DomainError


def read_placeholders(path: Path) -> dict[str, list[str]]:
    """The values of each placeholder, from a YAML mapping of names to a value or a list.

    Raises:
        ConfigError: The file cannot be read, or is no such mapping.
    """
    hint = "write a mapping such as  admin_hosts: [DC01, DC02]"
    try:
        documents = load_documents(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, DomainError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint=hint) from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigError(f"{path} holds no mapping", hint=hint)
    return {str(name): _values(value) for name, value in documents[0].items()}


def _values(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [str(item) for item in items if item is not None]
