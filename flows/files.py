"""Writing files so that readers see the old one or the new one, never a half."""

import os
import secrets
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Write a text file whole, in place of the one that is there.

    Raises:
        OSError: It cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
