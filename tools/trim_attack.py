"""Make the ATT&CK catalogue of content/attack from MITRE's Enterprise bundle.

    python tools/trim_attack.py BUNDLE.json[.gz] --version 18.1 [--crosswalk FILE.json]

Writes ``enterprise-<version>.json.gz`` (facts only) and, where a crosswalk derived from SigmaHQ's
retagging is given, ``crosswalk-v18-v19.json``.
"""

import argparse
import gzip
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from huntonce.models.attack_data import pack, trim

CONTENT = Path(__file__).parents[1] / "content" / "attack"
# Seen in the version maps of elastic/detection-rules, absent from SigmaHQ's rules.
ALSO_KNOWN = {
    "T1684.001": "T1656",
    "T1685.001": "T1562.002",
    "T1685.002": "T1562.008",
    "T1685.005": "T1070.001",
    "T1685.006": "T1070.002",
    "T1686": "T1562.004",
    "T1686.001": "T1562.007",
    "T1689": "T1562.010",
}


def crosswalk(raw: dict[str, Any]) -> dict[str, Any]:
    """ATT&CK v19 ids, each with the v18 ids it took the place of, most often seen first."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in raw["techniques"]:
        counts[row["v19"]][row["v18"]] = row["rules"]
    for row in raw["techniques_ambiguous"]:
        _eliminate(row["v18"], row["v19"], counts)
    for new, old in ALSO_KNOWN.items():
        counts[new].setdefault(old, 0)
    tactics: dict[str, dict[str, int]] = defaultdict(dict)
    for row in raw["tactics"]:
        if row["v19"] and "+" not in row["v19"]:
            tactics[row["v19"]][row["v18"]] = row["rules"]
    return {
        "from": "19",
        "to": "18.1",
        "note": (
            "Facts: which v18 ids each v19 id replaced, with the number of public Sigma rules "
            "that were retagged so (0: known from another public version map). Not an official "
            "MITRE mapping."
        ),
        "techniques": {new: _by_count(olds) for new, olds in sorted(counts.items())},
        "tactics": {new: _by_count(olds) for new, olds in sorted(tactics.items())},
    }


def _eliminate(olds: list[str], news: list[str], counts: dict[str, dict[str, int]]) -> None:
    """Where all but one pair of a retagged rule is known, the last pair follows."""
    unknown = [new for new in news if not counts.get(new)]
    known = {old for new in news for old in counts.get(new, {})}
    left = [old for old in olds if old not in known]
    if len(unknown) == len(left) == 1:
        counts[unknown[0]][left[0]] = 1


def _by_count(olds: dict[str, int]) -> list[list[Any]]:
    return [[old, count] for old, count in sorted(olds.items(), key=lambda i: (-i[1], i[0]))]


def main() -> int:
    """Write the files; 0 when done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--version", default="", help="where the bundle does not say")
    parser.add_argument("--crosswalk", type=Path)
    parser.add_argument("--out", type=Path, default=CONTENT)
    arguments = parser.parse_args()
    raw = arguments.bundle.read_bytes()
    bundle = json.loads(gzip.decompress(raw) if arguments.bundle.suffix == ".gz" else raw)
    document = trim(bundle["objects"], arguments.version)
    if not document["attack"]:
        parser.error("the bundle does not say its version: give --version")
    packed = pack(document)
    target = arguments.out / f"enterprise-{document['attack']}.json.gz"
    target.write_bytes(packed)
    sys.stdout.write(f"{target.name}: {len(packed)} bytes\n")
    if arguments.crosswalk:
        text = json.dumps(crosswalk(json.loads(arguments.crosswalk.read_text())), indent=1)
        (arguments.out / "crosswalk-v18-v19.json").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
