"""``make chaos``: a campaign in parts; what was tried stands in a ledger and is not tried again.

``python -m tests.chaos --trials 200 --seed 1 --ledger docs/chaos-ledger.csv``. Prints each trial
that ended otherwise than undisturbed, with the parts that differ, and exits with 1 then.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections import Counter
from itertools import chain, zip_longest
from pathlib import Path

from tests.chaos.campaign import (
    JOBS,
    Campaign,
    Outcome,
    Trial,
    at_random,
    campaign_at,
    every_crossing,
    others,
)
from tests.support import postgres

LEDGER = Path("docs/chaos-ledger.csv")
HEAD = ("trial", "at", "ended", "differs", "seconds")


def main() -> int:
    """Run the trials that the ledger does not have yet; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="how many at most")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the random moments")
    parser.add_argument("--ledger", type=Path, default=LEDGER)
    parser.add_argument("--jobs", nargs="+", default=JOBS, choices=JOBS)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="only trials whose name or crossing contains one"
    )
    parser.add_argument(
        "--postgres", action="store_true", help="the store on a PostgreSQL, which is ended amid it"
    )
    parser.add_argument("--again", action="store_true", help="also what the ledger has")
    given = parser.parse_args()
    done = set() if given.again else _done(given.ledger)
    server = postgres.start() if given.postgres else ""
    with (
        tempfile.TemporaryDirectory(prefix="huntonce-chaos-") as base,
        campaign_at(Path(base), server) as campaign,
    ):
        campaign.course(given.jobs)
        counts = ", ".join(f"{job} {len(c)}" for job, c in campaign.crossings.items())
        say(f"undisturbed, crossings: {counts}")
        fresh = [t for t in _plan(campaign, given.seed) if t.name not in done]
        wanted = [
            trial
            for trial in fresh
            if any(part in f"{trial.name} {campaign.place(trial)}" for part in given.only)
        ]
        return _go(campaign, wanted[: given.trials], given.ledger)


def say(line: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _plan(campaign: Campaign, seed: int) -> list[Trial]:
    """Kills at crossings, kills at random moments and other faults, taken in turns."""
    if campaign.site.server:
        return others(campaign)
    kinds = (every_crossing(campaign, seed), at_random(campaign, 200, seed), others(campaign))
    mixed = chain.from_iterable(zip_longest(*kinds))
    return list(dict.fromkeys(trial for trial in mixed if trial))


def _go(campaign: Campaign, trials: list[Trial], ledger: Path) -> int:
    tally: Counter[str] = Counter()
    for number, trial in enumerate(trials, 1):
        try:
            outcome = campaign.run(trial)
        except RuntimeError as error:
            outcome = Outcome(trial, 1, "", {"again": [0, str(error)]}, 0.0)
        except AssertionError as error:
            outcome = Outcome(trial, 1, "", {"state": ["whole", str(error)]}, 0.0)
        _write(ledger, outcome)
        tally[
            "kills" if trial.kills and outcome.happened else "too late" if trial.kills else "faults"
        ] += 1
        tally["differ"] += bool(outcome.wrong)
        sign = "DIFFERS" if outcome.wrong else "same"
        say(f"{number}/{len(trials)} {trial.name} ({outcome.at or outcome.ended}): {sign}")
        for part, (sound, found) in outcome.wrong.items():
            say(f"    {part}: {_difference(sound, found)}")
    say(", ".join(f"{name} {count}" for name, count in sorted(tally.items())))
    return 1 if tally["differ"] else 0


def _difference(sound: object, found: object) -> str:
    if isinstance(sound, dict) and isinstance(found, dict):
        names = sorted(set(sound) | set(found))
        pairs = {n: [sound.get(n), found.get(n)] for n in names if sound.get(n) != found.get(n)}
        return json.dumps(pairs)[:1500]
    if isinstance(sound, list) and isinstance(found, list):
        lost = [one for one in sound if one not in found]
        more = [one for one in found if one not in sound]
        return json.dumps({"lost": lost, "more": more, "were": len(sound), "are": len(found)})[
            :1500
        ]
    return json.dumps([sound, found])[:1500]


def _done(ledger: Path) -> set[str]:
    if not ledger.exists():
        return set()
    with ledger.open(newline="", encoding="utf-8") as file:
        return {row["trial"] for row in csv.DictReader(file)}


def _write(ledger: Path, outcome: Outcome) -> None:
    fresh = not ledger.exists()
    with ledger.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(HEAD)
        differs = " ".join(sorted(outcome.wrong))
        row = (outcome.trial.name, outcome.at, outcome.ended, differs, f"{outcome.seconds:.1f}")
        writer.writerow(row)


if __name__ == "__main__":
    sys.exit(main())
