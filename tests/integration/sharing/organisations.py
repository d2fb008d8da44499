"""Organisations that share over a real TAXII server: homes as operators have them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import stix2
from stix2validator import ValidationOptions, validate_instance

from huntonce.cli.commands.ioc import languages
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.flows.bootstrap import Home, now
from huntonce.models.case import Case, Determination, Stated
from huntonce.models.publication import Publication
from huntonce.models.stages.close import close, sync_cases
from huntonce.models.stages.collect import Collected, collect_all
from huntonce.models.stages.hypothesise import Hypothesised, hypothesise
from huntonce.models.stages.ioc import sweep
from huntonce.models.stages.ioctypes import Result, Swept
from huntonce.models.stages.learn import plan_case, plan_ruled_out, unplanned
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.received import indicators_for
from huntonce.models.stages.sending import send_publications
from huntonce.models.stages.settle import Settled
from tests.integration.sharing.login import PASSWORD, USER

TAXII = "application/taxii+json;version=2.1"
_SOUND: set[str] = set()
"""Objects that were checked already: the validator is slow."""
STRICT = ValidationOptions(strict=True, version="2.1")


@dataclass
class Organisation:
    """One organisation's Huntonce."""

    home: Home

    @classmethod
    def found(cls, folder: Path, name: str, collection: str, *, more: str = "") -> "Organisation":
        """A new home that pulls from and publishes to a collection, and is its own master."""
        folder.mkdir(parents=True)
        login = f'url = "{collection}"\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
        (folder / "huntonce.toml").write_text(
            f'[organisation]\nname = "{name}"\n{more}\n[policy]\npublish = "auto"\n'
            f"[intel.shared]\n{login}overlap_seconds = 0\n"
            f'[publish.shared]\n{login}max_tlp = "amber"\n'
        )
        return cls(Home(path=folder, clock=now, actor=name))

    def record(self, paths: Iterable[Path]) -> None:
        """Load telemetry."""
        report = load_paths(self.home.lake_path, list(paths))
        assert report.events
        assert not report.set_aside

    def hunt(self, target: str) -> Settled:
        """A whole hunt over all that is held."""
        kit = self.home.kit()
        return carry_out(kit, find_target(kit, target), default_window(kit))[1]

    def close_cases(self, stated: Stated | None = None) -> tuple[Case, ...]:
        """IR concludes that all open cases were real."""
        kit = self.home.kit()
        with self.home.store.unit() as unit:
            for case in unit.cases.list("open"):
                close(kit, case.id, Determination.CONFIRMED, "The payload ran.", stated)
        return sync_cases(kit)

    def publish(self) -> tuple[Publication, ...]:
        """Plan and send what is new."""
        kit, outlets = self.home.kit(), self.home.outlets()
        cases, runs = unplanned(kit, outlets)
        for case in cases:
            plan_case(kit, case, outlets)
        for run in runs:
            plan_ruled_out(kit, run, outlets)
        return send_publications(kit, outlets)

    def pull(self) -> tuple[Collected, Hypothesised]:
        """Pull from every source, and derive."""
        kit = self.home.kit()
        pulled = collect_all(self.home.sources(), kit.open_unit, kit.clock)
        assert all(one.error is None and not one.set_aside for one in pulled), pulled
        return pulled[0], hypothesise(kit)

    def run_received(self, technique: str) -> Swept:
        """Run the indicators that others sent for a technique, as they are."""
        kit = self.home.kit()
        only = indicators_for(kit, technique)
        return sweep(kit, languages(), self.home.warninglists, default_window(kit), only=only)


def hits(swept: Swept) -> list[Result]:
    """The indicators that were hit."""
    return [one for one in swept.results if one.status.value == "hit"]


def objects_at(collection: str) -> list[dict[str, Any]]:
    """Every version of every object that a collection holds."""
    found: list[dict[str, Any]] = []
    params: dict[str, str] = {"match[version]": "all", "limit": "100"}
    while True:
        answer = httpx.get(
            f"{collection}objects/",
            params=params,
            headers={"Accept": TAXII},
            auth=(USER, PASSWORD),
        )
        answer.raise_for_status()
        page = answer.json()
        found += page.get("objects", [])
        if not page.get("more"):
            return found
        params["next"] = page["next"]


def assert_sound(objects: Iterable[dict[str, Any]]) -> None:
    """Every object is valid in the OASIS validator's strict mode and comes back from stix2."""
    for content in objects:
        text = json.dumps(content, sort_keys=True)
        if text in _SOUND:
            continue
        result = validate_instance(content, STRICT)
        assert result.is_valid, (content["id"], [str(error) for error in result.errors])
        again = json.loads(stix2.parse(content).serialize())
        assert _same(again, content), content["id"]
        _SOUND.add(text)


def _same(read: Any, sent: Any) -> bool:
    """Whether stix2 gives back what was sent; what it adds are the standard's own defaults."""
    if isinstance(sent, dict) and isinstance(read, dict):
        extra = {key: read[key] for key in read.keys() - sent.keys()}
        return (
            sent.keys() <= read.keys()
            and all(value in (False, []) for value in extra.values())
            and all(_same(read[key], sent[key]) for key in sent)
        )
    if isinstance(sent, list) and isinstance(read, list):
        return len(sent) == len(read) and all(map(_same, read, sent))
    if isinstance(sent, str) and isinstance(read, str) and sent != read:
        return _moment(read) is not None and _moment(read) == _moment(sent)
    return bool(read == sent)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
