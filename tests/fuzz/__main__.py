"""``python -m tests.fuzz [TARGET...]``: attack the parsers, a bounded time each.

Exits with 1 where something broke; the inputs that did are in build/fuzz/TARGET/.
"""

import argparse
import logging
import resource
import sys
import warnings

from tests.fuzz.engine import ROOT, Campaign, fuzz, name_of
from tests.fuzz.targets import TARGETS, named

_MEMORY = 6 * 1024**3


def main() -> int:
    """Run the wanted targets and print what was tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    names = [target.name for target in TARGETS]
    parser.add_argument("target", nargs="*", choices=[*names, []], help="default: all")
    parser.add_argument("--seconds", type=float, default=10, help="for each target (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the dice (0)")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # An input that makes us ask for more than this is a finding, not the end of the machine.
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    print("| parser | inputs | edges | kept | seconds | broke |\n|---|---|---|---|---|---|")
    broke = 0
    for name in args.target or names:
        campaign = fuzz(named(name), seconds=args.seconds, seed=args.seed)
        broke += len(campaign.findings)
        print(
            f"| {name} | {campaign.inputs} | {campaign.edges} | {campaign.corpus}"
            f" | {campaign.seconds:.0f} | {len(campaign.findings)} |",
            flush=True,
        )
        _keep(campaign)
    return 1 if broke else 0


def _keep(campaign: Campaign) -> None:
    folder = ROOT / "build" / "fuzz" / campaign.target
    for finding in campaign.findings:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name_of(finding)
        path.write_bytes(finding.data)
        print(f"\n{finding.what}: {path}\n{finding.trace}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
