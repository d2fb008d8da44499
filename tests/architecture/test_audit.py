"""The audit: licences that may not be are seen, and the SBOM is of what is locked."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("licence", "bad"),
    [
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("GNU General Public License v2 or later (GPLv2+)", True),
        ("GNU Affero General Public License v3", True),
        ("MIT AND GPL-2.0-only", True),
        ("LGPL-3.0-only", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("GNU Library or Lesser General Public License (LGPL)", False),
        ("MIT", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", False),
    ],
)
def test_the_gpl_is_refused_and_the_lgpl_is_not(audit: ModuleType, licence: str, bad: bool) -> None:
    assert audit.refused(licence) is bad


def test_what_is_refused_unknown_or_not_locked_is_a_fault(audit: ModuleType) -> None:
    def package(name: str, licence: str) -> object:
        return audit.Package(name=name, version="1.0", licence=licence, spdx=True, needs=())

    lock = audit.locked("good==1.0 \\\n    --hash=sha256:00\nbad==1.0\nmute==1.0\nother==1.1 ; x\n")
    every = {
        name: package(name, licence)
        for name, licence in (("good", "MIT"), ("bad", "GPL-3.0"), ("mute", ""), ("other", "MIT"))
    }

    found = audit.faults(every, lock)

    assert [fault.split()[0] for fault in found] == ["bad", "mute", "other"]


def test_a_licence_is_read_from_wherever_the_metadata_has_it(audit: ModuleType) -> None:
    mit = ["License :: OSI Approved :: MIT License"]
    assert audit.licence_of("x", {"License-Expression": "MIT-0"}, mit) == "MIT-0"
    assert audit.licence_of("x", {"License": "UNKNOWN"}, mit) == "MIT License"
    assert audit.licence_of("x", {"License": "BSD"}, ["License :: OSI Approved"]) == "BSD"
    assert audit.licence_of("x", {"License": "the\nwhole\ntext"}, []) == ""


def test_what_is_installed_is_what_is_locked_and_may_be(audit: ModuleType) -> None:
    packages = audit.runtime()

    assert {"prefect", "duckdb", "pysigma", "psycopg", "aiosqlite"} <= set(packages)
    assert not {"pytest", "medallion", "mypy", "playwright"} & set(packages)
    assert audit.faults(packages, audit.locked(audit.LOCK.read_text())) == []


def test_the_sbom_names_each_package_once_and_refers_to_nothing_else(audit: ModuleType) -> None:
    packages, lock = audit.runtime(), audit.LOCK.read_text()
    document = audit.sbom(packages, lock)

    refs = [one["bom-ref"] for one in document["components"]]
    assert len(refs) == len(set(refs)) == len(packages) - 1
    assert {"pkg:pypi/prefect@3.8.8"} <= set(refs)
    known = {*refs, document["metadata"]["component"]["bom-ref"]}
    for entry in document["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= known
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["serialNumber"])
    assert json.dumps(document) == json.dumps(audit.sbom(packages, lock))


def test_every_exception_from_the_security_rules_has_its_reason() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    missing = []
    for folder in ("cli", "flows", "connectors", "models", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line in path.read_text().splitlines():
                for rule in re.findall(r"# noqa:[^#\n]*?\b(S\d{3})", line):
                    row = f"| {path.relative_to(ROOT).as_posix()} | {rule} |"
                    if row not in page or " - " not in line.partition("# noqa")[2]:
                        missing.append(row)

    assert missing == []
