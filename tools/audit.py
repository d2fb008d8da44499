"""Licences of the locked runtime dependencies, an SBOM of them, and known vulnerabilities.

Names, versions and licences are those of the installed metadata, which must be what the lock says.
The SBOM is CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/), the parts of it that follow
from the metadata: components with package URL and licence, and who needs whom. Vulnerabilities are
asked of a registry by pip-audit where that is installed; where it is not, that is said.

usage: python tools/audit.py [--out DIR]      exit code 1: a licence that may not be, an unknown
                                              one, another version than locked, or a vulnerability
"""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
OURS = "huntonce"
CHOSEN: Mapping[str, tuple[str, str]] = {
    "text-unidecode": ("Artistic-1.0", "offered under the Artistic License or the GPL, as we like"),
}
"""Packages whose metadata does not say it plainly: what holds, and why."""
_REFUSED = re.compile(
    r"(?<![A-Z])A?GPL|(?<!LESSER )(?<!LIBRARY )GENERAL PUBLIC LICEN[CS]E|AFFERO|SSPL|BUSL"
)
_NAMED = 60
"""A longer licence field is the licence's whole text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One runtime dependency as installed."""

    name: str
    version: str
    licence: str
    spdx: bool
    needs: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def licence_of(name: str, metadata: Mapping[str, Any], classifiers: Iterable[str]) -> str:
    """The licence that the metadata names; empty where it names none."""
    if name in CHOSEN:
        return CHOSEN[name][0]
    stated = str(metadata.get("License-Expression") or "")
    text = str(metadata.get("License") or "").strip()
    known = [c.rpartition("::")[2].strip() for c in classifiers if c.startswith("License ::")]
    told = [one for one in known if one != "OSI Approved"]
    plain = text if text.upper() != "UNKNOWN" and len(text.splitlines()) == 1 else ""
    return stated or " OR ".join(told) or plain[:_NAMED]


def refused(licence: str) -> bool:
    """Whether a licence is one that no dependency may have; the LGPL is not."""
    return bool(_REFUSED.search(licence.upper()))


def runtime(top: str = OURS) -> dict[str, Package]:
    """Every package that the runtime needs here, without extras for development."""
    found: dict[str, Package] = {}
    waiting = [(top, frozenset({""}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        try:
            held = distribution(name)
        except PackageNotFoundError:
            continue  # of another platform or Python
        needs = list(_needs(held, extras))
        waiting += needs
        before = found[name].needs if name in found else ()
        metadata = held.metadata
        licence = licence_of(name, metadata, metadata.get_all("Classifier") or [])  # type: ignore[arg-type]  # a message is a mapping in all but name
        found[name] = Package(
            name=name,
            version=held.version,
            licence=licence,
            spdx=bool(metadata.get("License-Expression")),
            needs=tuple(sorted({*before, *(need for need, _ in needs)})),
        )
    return found


def _needs(held: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for text in held.requires or ():
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras):
            yield canonicalize_name(need.name), frozenset({"", *need.extras})


def locked(text: str) -> dict[str, set[str]]:
    """Name to the versions that a lock allows, for one Python or another."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text, re.MULTILINE
    ):
        found.setdefault(canonicalize_name(name), set()).add(str(Version(version)))
    return found


def faults(packages: Mapping[str, Package], lock: Mapping[str, set[str]]) -> list[str]:
    """What must not be."""
    found = []
    for name, package in sorted(packages.items()):
        if name == OURS:
            continue
        if not package.licence:
            found.append(f"{name} {package.version}: names no licence; look it up, add to CHOSEN")
        elif refused(package.licence):
            found.append(f"{name} {package.version}: {package.licence}")
        if str(Version(package.version)) not in lock.get(name, set()):
            told = ", ".join(sorted(lock.get(name, ()))) or "nothing"
            found.append(f"{name} {package.version} is installed, the lock says {told}")
    return found


def sbom(packages: Mapping[str, Package], lock: str) -> dict[str, Any]:
    """A CycloneDX 1.6 document; the same lock and packages give the same one."""
    ours = packages[OURS]
    others = [packages[name] for name in sorted(packages) if name != OURS]
    seed = lock + "".join(package.purl for package in others)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        "version": 1,
        "metadata": {"component": {"type": "application", **_component(ours)}},
        "components": [
            {"type": "library", **_component(one), "licenses": [_licence(one)]} for one in others
        ],
        "dependencies": [
            {
                "ref": one.purl,
                "dependsOn": [packages[need].purl for need in one.needs if need in packages],
            }
            for one in (ours, *others)
        ],
    }


def _component(package: Package) -> dict[str, str]:
    return {
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }


def _licence(package: Package) -> dict[str, Any]:
    if package.spdx and package.name not in CHOSEN:
        return {"expression": package.licence}
    return {"license": {"name": package.licence}}


def main(words: list[str]) -> int:
    """Print what was found, write the SBOM."""
    folder = Path(words[words.index("--out") + 1]) if "--out" in words else ROOT / "build"
    packages, text = runtime(), LOCK.read_text()
    for package in sorted(packages.values(), key=lambda one: (one.licence, one.name)):
        if package.name != OURS:
            print(f"{package.licence[:_NAMED]:<60}  {package.name} {package.version}")
    for name, (licence, why) in CHOSEN.items():
        if name in packages:
            print(f"chosen by hand: {name}: {licence}, {why}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sbom.cdx.json"
    path.write_text(json.dumps(sbom(packages, text), indent=1) + "\n")
    print(f"SBOM of {len(packages) - 1} packages: {path}")
    found = faults(packages, locked(text))
    for fault in found:
        print(f"FAULT {fault}")
    return 1 if found or _vulnerable() else 0


def _vulnerable() -> bool:
    if find_spec("pip_audit") is None:
        print("vulnerabilities: NOT LOOKED FOR, pip-audit is not installed here")
        return False
    words = ["--requirement", str(LOCK), "--require-hashes", "--disable-pip"]
    done = subprocess.run([sys.executable, "-m", "pip_audit", *words], check=False)  # noqa: S603 - our own interpreter and words
    print(f"vulnerabilities: pip-audit ended with {done.returncode}")
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
