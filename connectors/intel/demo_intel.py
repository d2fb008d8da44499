"""The intelligence of the demo: our own, fictitious, shipped as package data."""

from functools import cache
from importlib.resources import files

from huntonce.connectors.intel.scan import scan

_FOLDER = files("huntonce.content") / "intel"


@cache
def demo_intel() -> tuple[bytes, ...]:
    """The STIX 2.1 objects of the COPPER HERON bundle, one JSON text each."""
    return tuple(scan((_FOLDER / "copper-heron.json").read_bytes()).objects)


@cache
def faulty_intel() -> bytes:
    """One indicator that has no ``valid_from``, as a sloppy upstream would serve it."""
    return (_FOLDER / "faulty.json").read_bytes().strip()
