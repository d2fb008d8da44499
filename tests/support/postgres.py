"""A throw-away PostgreSQL on loopback for the tests: ``postgres.py start | url | stop``.

``start`` prints the address to put into HUNTONCE_TEST_POSTGRES. It uses the distribution's own
programs (Debian: /usr/lib/postgresql/*/bin), a temporary folder, a free port, and takes
connections from this machine only.
"""

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

# One for each checkout: its stop must not take the server from the tests of another.
_CHECKOUT = hashlib.sha256(str(Path(__file__).resolve().parents[2]).encode()).hexdigest()[:12]
RECORD = Path(tempfile.gettempdir()) / f"huntonce-postgres-{os.getuid()}-{_CHECKOUT}.json"
ACCOUNT = "postgres"


def programs() -> Path:
    """The folder of the newest server installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: float(path.parts[-3]),
    )
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    if elsewhere is None:
        sys.exit("no PostgreSQL here: apt-get install postgresql")
    return Path(elsewhere).parent


def run(*command: str | Path, may_fail: bool = False) -> None:
    """Run a server program, as the account that PostgreSQL insists on where we are root."""
    words = [str(word) for word in command]
    if os.getuid() == 0:
        words = ["runuser", "-u", ACCOUNT, "--", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0 and not may_fail:
        sys.exit(f"{words}: {done.stdout}{done.stderr}")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start() -> str:
    """Start a server unless one of ours runs; returns its address."""
    if RECORD.exists():
        if answers(json.loads(RECORD.read_text())["port"]):
            return url()
        stop()
    folder = Path(tempfile.mkdtemp(prefix="huntonce-postgres-"))
    if os.getuid() == 0:
        owner = pwd.getpwnam(ACCOUNT)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    bin_folder, data, port = programs(), folder / "data", free_port()
    run(bin_folder / "initdb", "-D", data, "-U", ACCOUNT, "-A", "trust", "-E", "UTF8", "--no-sync")
    RECORD.write_text(json.dumps({"folder": str(folder), "port": port}))
    _launch(folder, port)
    return url()


def crash() -> None:
    """End the server by its process id, at once and without a checkpoint."""
    folder = Path(json.loads(RECORD.read_text())["folder"])
    os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


def revive() -> None:
    """Start the server again that was ended, at its old address."""
    record = json.loads(RECORD.read_text())
    _launch(Path(record["folder"]), record["port"])


def _launch(folder: Path, port: int) -> None:
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
        "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
    )
    # The server's own output must not go to our pipe: it would stay open for ever.
    words = ("-D", folder / "data", "-l", folder / "log", "-w", "-o", options, "start")
    run(programs() / "pg_ctl", *words)


def answers(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop() -> None:
    """Stop the server and delete its data; nothing where there is none."""
    if not RECORD.exists():
        return
    folder = Path(json.loads(RECORD.read_text())["folder"])
    if (folder / "data" / "postmaster.pid").exists():
        # Of a server that was killed only the file is left: there is nothing to stop then.
        words = ("-D", folder / "data", "-m", "immediate", "-w", "stop")
        run(programs() / "pg_ctl", *words, may_fail=True)
    shutil.rmtree(folder, ignore_errors=True)
    RECORD.unlink()


def url() -> str:
    """The address of the running server's maintenance database; ends the program without one."""
    if not RECORD.exists():
        sys.exit("not started")
    port = json.loads(RECORD.read_text())["port"]
    return f"postgresql+psycopg://{ACCOUNT}@127.0.0.1:{port}/postgres"


def main(arguments: list[str]) -> None:
    """Do what the one argument says."""
    match arguments:
        case ["start"]:
            print(start())  # noqa: T201 - the script's answer
        case ["url"]:
            print(url())  # noqa: T201 - the script's answer
        case ["stop"]:
            stop()
        case _:
            sys.exit("usage: postgres.py start | url | stop")


if __name__ == "__main__":
    main(sys.argv[1:])
