"""What every command starts with: the home, the output, and errors turned into exit codes."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from huntonce.cli.output import FAILED, UNREACHABLE, USAGE, Output
from huntonce.models.errors import (
    ConfigError,
    ConnectorError,
    DomainError,
    HuntonceError,
    TransientError,
)

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
DEFAULT_HOME = Path(".huntonce")

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="HUNTONCE_HOME",
        help="Folder with settings, store and lake.",
        show_default=str(DEFAULT_HOME),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
SiemOption = Annotated[str, typer.Option("--siem", help="SIEM to look in.")]


@contextmanager
def session(home: Path, *, as_json: bool, writes: bool = False) -> "Iterator[tuple[Home, Output]]":
    """An open home and the output; expected faults become a message and an exit code."""
    from huntonce.flows.bootstrap import DEMO_MARK, Home

    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    output = Output(as_json=as_json)
    opened = Home(path=home)
    try:
        if writes and (home / DEMO_MARK).exists():
            output.note(
                f"{home} belongs to the demo, which makes it anew each time; "
                "use --home for a home of your own"
            )
        if writes and home.parent.is_dir() and not home.exists():
            home.mkdir(mode=0o700, exist_ok=True)  # what is in it concerns its owner
        yield opened, output
    except HuntonceError as error:
        output.problem(str(error), error.hint)
        raise typer.Exit(exit_code(error)) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        output.problem(
            f"{error.filename or 'a file'} cannot be written: {error.strerror}",
            "free some space, then repeat",
        )
        raise typer.Exit(FAILED) from None
    finally:
        opened.close()


def exit_code(error: HuntonceError) -> int:
    """The exit code that an expected fault has."""
    if isinstance(error, (ConfigError, DomainError)):
        return USAGE
    if isinstance(error, (TransientError, ConnectorError)):
        return UNREACHABLE
    return FAILED
