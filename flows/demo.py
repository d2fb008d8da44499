"""The demo: a made-up company, a real TAXII server, the whole loop twice around, no network.

Everything runs through the same loader, flows and stages that a user's data takes; only the
company, the intel and the fix of one gap are made up, and the demo decides its own proposals.
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huntonce.flows.bootstrap import DEMO_MARK, Home
from huntonce.flows.runtime import attach, prefect_server, token
from huntonce.flows.settings import DAYS, FILE
from huntonce.flows.story import Listener, Told, listening, tell
from huntonce.models.errors import ConfigError
from huntonce.models.lab.company import COMMAND_LINE, Company, LabSpec, build_company
from huntonce.models.profile import Profile

if TYPE_CHECKING:
    from huntonce.connectors.intel.taxii_server.server import TaxiiServer

FEED = "1d0c6f5e-8a0b-4e57-9b42-6f1c7d0a2b01"
SHARED = "1d0c6f5e-8a0b-4e57-9b42-6f1c7d0a2b02"
PAGE = 25
ACTOR = "demo"


@dataclass(kw_only=True)
class _Stage:
    """The demo's stages as they went, for ``--json``."""

    told: list[Told] = field(default_factory=list)
    listener: Listener | None = None

    def hear(self, told: Told) -> None:
        self.told.append(told)
        if self.listener is not None:
            self.listener(told)


def run_demo(path: Path, listener: Listener, *, spec: LabSpec | None = None) -> dict[str, Any]:
    """Make a fresh home and turn the loop twice; returns the numbers of ``huntonce demo --json``.

    Raises:
        ConfigError: The folder holds something that is not a demo's.
    """
    began = time.monotonic()
    fresh_home(path)
    stage = _Stage(listener=listener)
    company = build_company(spec or LabSpec())
    with prefect_server(path) as server, listening(stage.hear), _taxii(path) as taxii:
        _write_settings(path, company.profile(), taxii)
        lab = _lab(path, company)
        attach(server)
        numbers = _turns(path, company)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "stages": [
            {"stage": told.stage, "lines": list(told.lines), **told.numbers} for told in stage.told
        ],
        **lab,
        **numbers,
    }


def fresh_home(path: Path) -> None:
    """An empty folder with the demo's mark; what an earlier demo left is removed.

    Raises:
        ConfigError: The folder holds something that is not a demo's.
    """
    if path.exists() and any(path.iterdir()):
        if not (path / DEMO_MARK).is_file():
            raise ConfigError(
                f"{path} is a home of your own, and the demo wants a fresh one",
                hint="huntonce demo --home SOMEWHERE-ELSE",
            )
        shutil.rmtree(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    (path / DEMO_MARK).write_text("huntonce demo makes this folder anew each time\n")


@contextmanager
def _taxii(path: Path) -> "Iterator[TaxiiServer]":
    """A real TAXII 2.1 server on loopback that holds the shipped intel, one object faulty."""
    from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
    from huntonce.connectors.intel.taxii_server.server import TaxiiServer
    from huntonce.connectors.intel.taxii_server.settings import CollectionSpec, User

    users = [User(ACTOR, token())]
    collections = [
        CollectionSpec(FEED, "Sector intelligence"),
        CollectionSpec(SHARED, "Shared with our sector", can_write=True),
    ]
    database = f"sqlite:///{path / 'taxii.db'}"
    with TaxiiServer(
        db_url=database, users=users, collections=collections, page_limit=PAGE
    ) as server:
        server.seed(FEED, [*demo_intel(), faulty_intel()])
        yield server


def _write_settings(path: Path, profile: Profile, taxii: "TaxiiServer") -> None:
    user = taxii.settings.users[0]
    windows = [
        {
            "days": [DAYS[day] for day in window.days],
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "zone": window.zone,
        }
        for window in profile.change_windows
    ]
    organisation = {
        "name": profile.name,
        "sectors": profile.sectors,
        "regions": profile.regions,
        "platforms": profile.platforms,
        "technologies": profile.technologies,
        "assets": "lab/assets.csv",
        "privileged_accounts": profile.privileged_accounts,
        "task_authors": profile.task_authors,
        "internal_names": profile.internal_names,
        "internal_networks": profile.internal_networks,
        "gap_owner": profile.gap_owner or "endpoint team",
    }
    login = {"username": user.name, "password": user.password}
    pull = {**login, "page_size": PAGE, "overlap_seconds": 0}
    parts = [
        "# The demo's settings. Its TAXII server runs only while the demo does.",
        _toml("organisation", organisation),
        *[f"[[organisation.change_windows]]\n{_pairs(window)}" for window in windows],
        _toml("intel.sector", {"url": taxii.collection_url(FEED), **pull}),
        _toml("intel.shared", {"url": taxii.collection_url(SHARED), **pull}),
        _toml(
            "publish.shared",
            {"url": taxii.collection_url(SHARED), **login, "max_tlp": "amber+strict"},
        ),
    ]
    file = path / FILE
    file.touch(mode=0o600)
    file.write_text("\n\n".join(parts) + "\n")


def _toml(name: str, values: dict[str, Any]) -> str:
    return f"[{name}]\n{_pairs(values)}"


def _pairs(values: dict[str, Any]) -> str:
    # A TOML basic string, integer or array of strings is written as JSON writes it.
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())


def _lab(path: Path, company: Company) -> dict[str, Any]:
    from huntonce.connectors.siem.labfiles import write_lab
    from huntonce.connectors.siem.lake.loader import load_paths

    spec = company.spec
    files = write_lab(company, path / "lab")
    report = load_paths(path / "lake", files.paths)
    rate = report.events / max(report.seconds, 0.001)
    tell(
        "Lab",
        f"{company.profile().name}: {spec.hosts} hosts, {spec.days} days of Windows logs: "
        f"{report.events:,} events loaded into the lake at {rate:,.0f} a second",
        events=report.events,
        hosts=spec.hosts,
        days=spec.days,
    )
    return {"events": report.events}


def _turns(path: Path, company: Company) -> dict[str, Any]:
    from huntonce.flows.loop import loop

    home = str(path)
    first = loop(home=home)
    feedback = _feed_back(path)
    mended = _mend(path, company)
    second = loop(home=home)
    with _opened(path) as opened, opened.store.unit() as unit:
        sent = {p.object_id for p in unit.publications.list("sent", "already_present")}
        back = [object_id for object_id in sent if "shared" in unit.intel.feeds(object_id)]
        gaps, cases = unit.gaps.list(), unit.cases.list()
        hypotheses, detections = unit.hypotheses.list(), unit.detections.list()
    tell(
        "Second turn",
        f"pulled back {len(back)} objects of ours; "
        f"{len(second['hunts'])} hunts were due, hunted once stays hunted once",
        *mended,
        pulled_back=len(back),
    )
    return {
        "intel_objects": first["intel_objects"],
        "set_aside": first["set_aside"],
        "hypotheses": len(hypotheses),
        "hunts": len(first["hunts"]) + len(second["hunts"]),
        "gaps": len(gaps),
        "gaps_closed": sum(gap.state.value == "closed" for gap in gaps),
        "detections": len(detections),
        "cases": len(cases),
        "published": feedback,
        "pulled_back": len(back),
        "report": second["report"],
    }


@contextmanager
def _opened(path: Path) -> Iterator[Home]:
    home = Home(path=path, actor=ACTOR)
    try:
        yield home
    finally:
        home.close()


def _feed_back(path: Path) -> int:
    """IR (the demo plays it) closes the cases; what was learned is approved and leaves."""
    from huntonce.flows.cases import close_the_loop, decide_proposal
    from huntonce.models.case import CaseState, Determination
    from huntonce.models.stages.close import close

    with _opened(path) as opened:
        kit = opened.kit()
        with kit.open_unit() as unit:
            waiting = unit.cases.list(CaseState.OPEN)
        for case in waiting:
            note = "The demo plays IR: the payload ran, the accounts were stolen."
            close(kit, case.id, Determination.CONFIRMED, note)
    close_the_loop(home=str(path))
    with _opened(path) as opened, opened.store.unit() as unit:
        proposals = unit.proposals.list("pending")
    for proposal in proposals:
        tell("Feedback", f"{proposal.id}: {proposal.summary}: approved by {ACTOR}")
        decide_proposal(proposal=proposal.id, decision="approve", decided_by=ACTOR, home=str(path))
    with _opened(path) as opened, opened.store.unit() as unit:
        return len(unit.publications.list("sent"))


def _mend(path: Path, company: Company) -> list[str]:
    """Two more days, in which one gap is mended: evidence closes it, not a click."""
    from huntonce.connectors.siem.labfiles import write_lab
    from huntonce.connectors.siem.lake.loader import load_paths
    from huntonce.flows.gaps import verify_gaps_flow

    spec = company.spec
    for day in (1, 2):
        spec = spec.following(days=1, mended=(COMMAND_LINE,) if day == 1 else ())
        files = write_lab(build_company(spec), path / f"lab-{day}")
        load_paths(path / "lake", files.paths)
        if day == 1:
            verify_gaps_flow(home=str(path))
    return ["(the fix of the command-line gap is simulated: two more days of logs that have it)"]
