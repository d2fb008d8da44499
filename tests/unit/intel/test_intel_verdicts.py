"""Our verdict on faulty objects against python-stix2's, over mutations of real ones.

Where the two differ, the difference belongs to one of the kinds listed here, each of which has a
reason in the standard; any other difference fails.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import stix2

from huntonce.connectors.intel.batch import Intake
from huntonce.connectors.intel.demo_intel import demo_intel
from huntonce.connectors.intel.soundness import CLOSELY, is_sound
from huntonce.models.tlp import Tlp
from tests.support.shared import shared_data

Stix = dict[str, Any]
VALUES: tuple[Any, ...] = (
    None, "", [], {}, 17, -1, True, 3.5, "nonsense", "2026-13-45T00:00:00Z", [None], [""], ["x"],
    {"a": 1},
)  # fmt: skip
TIMES = (
    ("created", "modified"),
    ("first_seen", "last_seen"),
    ("valid_from", "valid_until"),
    ("first_observed", "last_observed"),
)
PATTERNS = (
    "file:hashes.MD5 = 'x']", "[file:name = 'a'", "[file:name]", "[file:name = 'a'] AND",
    "[file:name = 'a' OR file:name = 'b']", "[url:value MATCHES '^a']", " [file:size > 5] ",
    "[file:name = 'a'] FOLLOWEDBY [file:name = 'b'] WITHIN 5 SECONDS", "[a = 'b']", "[]",
)  # fmt: skip

# What we refuse and python-stix2 takes: it is lenient against the words of the standard.
STRICTER = {
    "a required property is missing; python-stix2 makes one up": (
        "has no id", "has no created", "has no modified", "has no valid_from",
    ),
    "a value is of another type than the standard's; python-stix2 converts it": (
        "must be a text", "must be a whole number", "must be a list of texts",
    ),
    "the version of STIX is unknown": ("is STIX ", "has no spec_version"),
    "versions run backwards": ("was modified before it was created",),
}  # fmt: skip
# What we take and python-stix2 refuses.
LAXER = {
    # STIX 2.0 wants labels; the upgrade does without, since 2.1 does not want them.
    ("spec_version", "dropped"),
    # Kept whole; a marking that we cannot read counts as the default.
    ("definition_type", "replaced"),
    ("definition", "replaced"),
    ("extensions", "replaced"),
}


def mutations(content: Stix) -> Iterator[tuple[str, str, Stix]]:
    """The property, what was done to it, and the object after that."""
    for name in content:
        if name == "type":
            continue
        yield name, "dropped", {key: value for key, value in content.items() if key != name}
        for value in VALUES:
            yield name, "replaced", {**content, name: value}
    for first, last in TIMES:
        if first in content and last in content:
            yield first, "swapped", {**content, first: content[last], last: content[first]}
    if content.get("pattern_type") == "stix":
        for pattern in PATTERNS:
            yield "pattern", "replaced", {**content, "pattern": pattern}
    yield from nested_mutations(content)


def nested_mutations(content: Stix) -> Iterator[tuple[str, str, Stix]]:
    """The same, for properties that have parts."""
    for name in ("external_references", "kill_chain_phases", "granular_markings"):
        for number, one in enumerate(content.get(name, ())):
            for part in one:
                parts = list(content[name])
                parts[number] = {key: value for key, value in one.items() if key != part}
                yield name, "part dropped", {**content, name: parts}


def theirs(content: Stix) -> bool:
    try:
        stix2.parse(json.dumps(content), allow_custom=True)
    except Exception:  # noqa: BLE001 - it raises whatever comes
        return False
    return True


def ours(content: Stix) -> str:
    _, refused = Intake("test", Tlp.AMBER).take([orjson.dumps(content)])
    return refused[0].reason if refused else ""


def unjustified(content: Stix) -> list[str]:
    found = []
    for name, what, mutant in mutations(content):
        fault, taken = ours(mutant), theirs(mutant)
        if is_sound(mutant) and mutant["type"] not in CLOSELY:
            assert not fault
        if (not fault) == taken:
            continue
        if fault and any(word in fault for words in STRICTER.values() for word in words):
            continue
        if not fault and (name, what) in LAXER:
            continue
        shown = json.dumps(mutant.get(name))[:60]
        found.append(f"{content['type']}.{name} {what} {shown}: {fault or 'taken'}")
    return found


def test_the_demo_s_objects_get_python_stix2_s_verdicts_after_every_mutation() -> None:
    first_of_type = {content["type"]: content for content in map(orjson.loads, demo_intel())}

    assert len(first_of_type) > 8
    assert [fault for content in first_of_type.values() for fault in unjustified(content)] == []


@pytest.mark.shared_data
@pytest.mark.parametrize("seed", range(3))
def test_real_objects_get_python_stix2_s_verdicts_after_every_mutation(seed: int) -> None:
    by_type: dict[str, list[Stix]] = defaultdict(list)
    for path in sorted(shared_data("cti").glob("**/*.json")):
        document = orjson.loads(path.read_bytes())
        for content in document["objects"] if isinstance(document, dict) else ():
            if theirs(content) and "spec_version" in content:
                by_type[content["type"]].append(content)
    chance = random.Random(seed)  # noqa: S311 - no secret

    assert len(by_type) > 15
    picked = [chance.choice(by_type[kind]) for kind in sorted(by_type)]
    assert [fault for content in picked for fault in unjustified(content)] == []
