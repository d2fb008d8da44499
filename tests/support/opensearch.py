"""A throw-away OpenSearch node on loopback for the tests: ``opensearch.py start | url | stop``.

``start`` prints the address to put into HUNTONCE_TEST_OPENSEARCH. The server is the project's own
distribution without plugins, as it is published for integration tests on Maven Central, fetched by
``mvn``; it runs on the Java that is installed, with a small heap, in a temporary folder, and takes
connections from this machine only. The percolator is added as the module that it is in a full
distribution.
"""

import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

# One for each checkout: its stop must not take the node from the tests of another.
_CHECKOUT = hashlib.sha256(str(Path(__file__).resolve().parents[2]).encode()).hexdigest()[:12]
RECORD = Path(tempfile.gettempdir()) / f"huntonce-opensearch-{os.getuid()}-{_CHECKOUT}.json"
ACCOUNT = "nobody"
SERVER = "org.opensearch.distribution.integ-test-zip:opensearch"
PERCOLATOR = "org.opensearch.plugin:percolator-client"
HEAP = "1g"
FACTORY = (
    "java.util.concurrent.ForkJoinPool.common.threadFactory="
    "org.opensearch.secure_sm.SecuredForkJoinWorkerThreadFactory"
)
PATIENCE = 120
"""Longest wait for a node to answer, in seconds."""
FETCH_PATIENCE = 300


class AbsentError(RuntimeError):
    """No node can be had here; says why."""


def version() -> str:
    """The server version for the Java that is here.

    2.19 wants Java 11 and uses the security manager, which Java 24 no longer has; 3 wants Java 21.

    Raises:
        AbsentError: There is no Java, or one that is too old.
    """
    java = shutil.which("java")
    if java is None:
        raise AbsentError("no Java here")
    words = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', words)
    major = int(found[1]) if found else 0
    if major < 11:
        raise AbsentError(f"Java 11 or newer is needed, here is {major}")
    return "2.19.1" if major < 21 else "3.4.0"


def fetch(artifact: str, folder: Path) -> Path:
    """A file of Maven Central, through Maven and its cache.

    Raises:
        AbsentError: There is no Maven, or it could not get it.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise AbsentError("no Maven here")
    command = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={folder}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            timeout=FETCH_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise AbsentError(f"Maven did not fetch {artifact} in {FETCH_PATIENCE} s") from None
    _, name, number, kind = artifact.split(":")
    path = folder / f"{name}-{number}.{kind}"
    if done.returncode != 0 or not path.is_file():
        fault = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no word")
        raise AbsentError(f"Maven did not fetch {artifact}: {fault[:300]}")
    return path


def unpack(folder: Path) -> Path:
    """The server's home, unpacked into a folder."""
    number = version()
    with zipfile.ZipFile(fetch(f"{SERVER}:{number}:zip", folder)) as archive:
        archive.extractall(folder)
    home = folder / f"opensearch-{number}"
    module = home / "modules" / "percolator"
    module.mkdir()
    fetch(f"{PERCOLATOR}:{number}:jar", folder).rename(module / "percolator.jar")
    (module / "plugin-descriptor.properties").write_text(
        "description=Percolator\nname=percolator\nclassname=org.opensearch.percolator."
        f"PercolatorPlugin\nversion={number}\nopensearch.version={number}\njava.version=11\n"
        "has.native.controller=false\nextended.plugins=\n"
    )
    (home / "temporary").mkdir()
    return home


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def command(home: Path, port: int) -> list[str]:
    """How the node is started."""
    settings = {
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": str(port),
        "transport.port": str(free_port()),
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "action.auto_create_index": "false",
        "node.store.allow_mmap": "false",
    }
    return [
        str(shutil.which("java")),
        f"-Xms{HEAP}",
        f"-Xmx{HEAP}",
        "-XX:+UseSerialGC",
        f"-Djava.io.tmpdir={home / 'temporary'}",
        f"-Dopensearch.path.home={home}",
        f"-Dopensearch.path.conf={home / 'config'}",
        "-Dopensearch.bundled_jdk=false",
        "-Dlog4j2.disable.jmx=true",
        f"-D{FACTORY}",
        "-cp",
        f"{home / 'lib'}/*",
        "org.opensearch.bootstrap.OpenSearch",
        *(f"-E{name}={value}" for name, value in settings.items()),
    ]


def start() -> str:
    """Start a node unless one of ours runs; returns its address.

    Raises:
        AbsentError: None can be had here, or it did not come up.
    """
    if RECORD.exists():
        if answers(json.loads(RECORD.read_text())["port"]):
            return url()
        stop()
    folder = Path(tempfile.mkdtemp(prefix="huntonce-opensearch-"))
    try:
        home, port = unpack(folder), free_port()
        account: dict[str, object] = {}
        if os.getuid() == 0:  # the server refuses to run as root
            owner = pwd.getpwnam(ACCOUNT)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        # The node's own output must not go to our pipe: it would stay open for ever.
        with (folder / "output").open("wb") as output:
            node = subprocess.Popen(  # type: ignore[call-overload]
                command(home, port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=home,
                start_new_session=True,
                **account,
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    RECORD.write_text(json.dumps({"folder": str(folder), "port": port, "pid": node.pid}))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and node.poll() is None:
        if answers(port):
            return url()
        time.sleep(0.2)
    words = (folder / "output").read_text(errors="replace")[-2000:]
    stop()
    raise AbsentError(f"the node did not come up: {words}")


def answers(port: int) -> bool:
    """Whether a node answers on the port and has a master."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    health = f"http://127.0.0.1:{port}/_cluster/health?wait_for_status=yellow&timeout=1s"
    try:
        with direct.open(health, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def stop() -> None:
    """Stop the node by its process id and delete its data; nothing where there is none."""
    if not RECORD.exists():
        return
    record = json.loads(RECORD.read_text())
    pid, folder = int(record["pid"]), Path(record["folder"])
    if is_ours(pid, folder):
        os.kill(pid, signal.SIGKILL)  # its data is thrown away: there is nothing to flush
        until = time.monotonic() + 10
        while is_ours(pid, folder) and time.monotonic() < until:
            time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)
    RECORD.unlink()


def is_ours(pid: int, folder: Path) -> bool:
    """Whether the process runs still, and is the node of that folder and not another program."""
    try:
        with Path(f"/proc/{pid}/stat").open() as file:
            ended = file.read().rpartition(")")[2].split()[0] == "Z"
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return not ended and str(folder).encode() in line


def url() -> str:
    """The address of the running node; ends the program without one."""
    if not RECORD.exists():
        sys.exit("not started")
    return f"http://127.0.0.1:{json.loads(RECORD.read_text())['port']}"


def main(arguments: list[str]) -> None:
    """Do what the one argument says."""
    match arguments:
        case ["start"]:
            try:
                print(start())  # noqa: T201 - the script's answer
            except AbsentError as error:
                sys.exit(str(error))
        case ["url"]:
            print(url())  # noqa: T201 - the script's answer
        case ["stop"]:
            stop()
        case _:
            sys.exit("usage: opensearch.py start | url | stop")


if __name__ == "__main__":
    main(sys.argv[1:])
