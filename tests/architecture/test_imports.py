"""Who may import whom, and what no file may say."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "connectors", "content", "flows", "models")
TEXT = {".py", ".toml", ".md", ".yml", ".yaml", ".json", ".j2", ".css", ".mako", ".cfg", ".txt", ""}
HIDDEN = (".git", ".venv", ".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache")


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of everything a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, f"{'.' * node.level}{node.module or ''}"


def roots_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for _, name in imported(path)}


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def contracts() -> list[dict[str, object]]:
    found: list[dict[str, object]] = project()["tool"]["importlinter"]["contracts"]  # type: ignore[index]
    return found


# ---------------------------------------------------------------- contracts


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]


def test_every_part_of_models_has_its_place_among_the_layers() -> None:
    layers = next(c["layers"] for c in contracts() if c.get("containers") == ["huntonce.models"])
    assert isinstance(layers, list)
    placed = [name.strip() for layer in layers for name in layer.split("|")]
    there = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / "models").iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }

    assert sorted(placed) == sorted(set(placed))
    assert set(placed) == there


def test_every_family_of_connectors_is_named_in_the_contracts() -> None:
    there = {f"huntonce.connectors.{p.parent.name}" for p in ROOT.glob("connectors/*/__init__.py")}
    named: set[str] = set()
    for contract in contracts():
        if contract.get("containers") == ["huntonce.connectors"]:
            layers = contract["layers"]
            assert isinstance(layers, list)
            named |= {
                f"huntonce.connectors.{name.strip()}"
                for layer in layers
                for name in layer.split("|")
            }

    assert named == there


# ---------------------------------------------------------------- prefect


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f != "flows"])
def test_only_flows_import_prefect(folder: str) -> None:
    assert [path for path in modules(folder) if "prefect" in roots_of(path)] == []


PREFECT_FREE = (
    "flows/bootstrap.py",
    "flows/explaining.py",
    "flows/numbers.py",
    "flows/packing.py",
    "flows/reporting.py",
    "flows/settings.py",
)


@pytest.mark.parametrize("name", PREFECT_FREE)
def test_what_commands_need_of_flows_knows_no_prefect(name: str) -> None:
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"no {name}")

    assert "prefect" not in roots_of(path)


@pytest.mark.parametrize("name", [n.removesuffix(".py").replace("/", ".") for n in PREFECT_FREE])
def test_importing_it_starts_no_prefect(name: str) -> None:
    if not (ROOT / f"{name.replace('.', '/')}.py").exists():
        pytest.skip(f"no {name}")
    program = f"import sys, huntonce.{name}; sys.exit('prefect' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]


SLOW = ("duckdb", "numpy", "prefect", "pyarrow", "sigma", "stix2")
"""What makes a command that only reads the state slow to start."""


@pytest.mark.parametrize("command", ["cases", "desks", "gaps", "metrics"])
def test_a_command_that_only_reads_the_state_imports_nothing_slow(
    command: str, tmp_path: Path
) -> None:
    command_line = ["huntonce", command, "--home", str(tmp_path)]
    program = f"""
import sys
from huntonce.cli.main import run
sys.argv = {command_line!r}
try:
    run()
except SystemExit as ended:
    assert not ended.code, ended.code
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert [name for name in SLOW if name in done.stderr.split()] == []


# ---------------------------------------------------------------- names


def test_modules_are_imported_by_the_name_of_the_package_only() -> None:
    bare = [
        (path, line, name)
        for path in modules(*FOLDERS, "tests", "tools")
        for line, name in imported(path)
        if name.partition(".")[0] in FOLDERS or name.startswith(".")
    ]

    assert bare == []


def test_no_module_is_called_what_says_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}

    assert [path for path in modules(*FOLDERS) if path.stem in vague] == []


# ---------------------------------------------------------------- machine paths


# Written in parts, so that this file does not hold what it looks for.
PLACES = (
    "/wo" + "rk/",
    "/ro" + "ot/(?!collections)",
    "/tm" + "p/boot",
    r"/home/[a-z]+/",
    r"/Users/[a-z]+/",
)
MACHINE = re.compile(rf"(?<![\w.}}])(?:{'|'.join(PLACES)})")
OTHERS_HOMES = re.compile(r"/home/(?:user|ann|me)/")


def texts() -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if (
            path.is_file()
            and path.suffix in TEXT
            and not any(
                part in HIDDEN or part.startswith(".huntonce") or part == "__pycache__"
                for part in parts
            )
        ):
            yield path


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = []
    for path in texts():
        if ".typing" in path.parts or path.stat().st_size > 2_000_000:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for match in MACHINE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if not OTHERS_HOMES.match(match[0]):
                found.append(f"{path.relative_to(ROOT)}:{line}: {match[0]}")

    assert found == []


def test_no_module_leaves_work_for_later() -> None:
    later = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|raise NotImplemented" + "Error")

    assert [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in modules(*FOLDERS)
        for match in later.finditer(path.read_text(encoding="utf-8"))
    ] == []
