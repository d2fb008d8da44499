"""A small company with its servers standing beside it: what is killed, and what must be the same.

The TAXII server is ours; the ticket desk and the case desk are the stand-ins that check requests
as Jira and TheHive document them. They stand in the process that kills, and so live on.
"""

import copy
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pytest_httpserver import HTTPServer
from sqlalchemy import create_engine, make_url, text

from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer, User
from huntonce.connectors.siem.labfiles import write_lab
from huntonce.flows.bootstrap import Home
from huntonce.flows.runtime import free_port
from huntonce.models.entity import Kind
from huntonce.models.hunt import HuntState
from huntonce.models.lab.company import COMMAND_LINE, LabSpec, build_company
from huntonce.models.state.store import sqlite_url
from tests.support.desks.jira import FakeJira
from tests.support.desks.thehive import FakeTheHive
from tests.support.faulty_proxy import FaultyProxy

FEED = "1d0c6f5e-8a0b-4e57-9b42-6f1c7d0a2b01"
SHARED = "1d0c6f5e-8a0b-4e57-9b42-6f1c7d0a2b02"
USER, PASSWORD, TOKEN = "chaos", "chaos-password", "chaos-token"
LAB = LabSpec(hosts=20, days=5)
DATABASE = "huntonce.db"
STORE = "huntonce_chaos"
"""Name of the store's database on a server."""
_GONE = f"DROP DATABASE IF EXISTS {STORE} WITH (FORCE)"
HUNTED = ("T1053.005", "T1070.001")
"""The behaviours that the intel speaks of: few, that a turn is short."""
CHANGES = (Kind.GAP, Kind.CASE, Kind.DETECTION)
"""Whose every change of state is compared: none may happen twice."""

SETTINGS = """\
[organisation]
name = "Chaos"
sectors = ["manufacturing"]
platforms = ["Windows"]
assets = "lab/assets.csv"
gap_owner = "endpoint team"

[intel.sector]
url = "{feed}"
username = "{user}"
password = "{password}"
page_size = 10

[intel.shared]
url = "{shared}"
username = "{user}"
password = "{password}"

[publish.shared]
url = "{shared}"
username = "{user}"
password = "{password}"
max_tlp = "amber+strict"

[policy]
deploy = "auto"
open_ticket = "auto"
open_case = "auto"
publish = "auto"

[desks.soc]
kind = "jira"
url = "{jira}"
project = "SOC"
token = "{token}"

[desks.hive]
kind = "thehive"
url = "{hive}"
token = "{token}"

[tickets]
desk = "soc"

[cases]
desk = "hive"
"""


@dataclass
class Site:
    """The standing servers, and the folder of the home.

    Attributes:
        base: Folder of everything; ``home`` is in it.
        server: Address of a PostgreSQL server that the store is to be on; empty: SQLite.
    """

    base: Path
    port: int = field(default_factory=free_port)
    server: str = ""

    def __post_init__(self) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        self._tickets, self._cases = HTTPServer(), HTTPServer()
        self._tickets.start()
        self._cases.start()
        self.proxy = FaultyProxy(f"http://127.0.0.1:{self.port}")
        self.proxy.__enter__()
        self.jira = FakeJira(self._tickets, f"Bearer {TOKEN}", cloud=False)
        self.hive = FakeTheHive(self._cases, f"Bearer {TOKEN}", catalogue=HUNTED)

    @property
    def home(self) -> Path:
        """The home that is worked in."""
        return self.base / "home"

    @property
    def store(self) -> str:
        """The address of the store."""
        if not self.server:
            return sqlite_url(self.home / DATABASE)
        url = make_url(self.server).set(database=STORE)
        return url.render_as_string(hide_password=False)

    @property
    def lab(self) -> Path:
        """Folder of the log files that arrive first."""
        return self.base / "lab"

    def close(self) -> None:
        """Stop the desks and the proxy."""
        self.proxy.__exit__(None, None, None)
        self._tickets.stop()
        self._cases.stop()

    @contextmanager
    def taxii(self) -> Iterator[TaxiiServer]:
        """The TAXII server, always at the same address, over what its file holds."""
        with TaxiiServer(
            db_url=f"sqlite:///{self.base / 'taxii.db'}",
            users=[User(USER, PASSWORD)],
            collections=[
                CollectionSpec(FEED, "Sector"),
                CollectionSpec(SHARED, "Shared", can_write=True),
            ],
            port=self.port,
            page_limit=10,
        ) as server:
            yield server

    def build(self, company: LabSpec = LAB) -> None:
        """The home before the first turn, the files that will arrive, the intel of the feed."""
        self.home.mkdir(mode=0o700)
        lab = write_lab(build_company(company), self.lab)
        after = company
        for day, mended in ((1, (COMMAND_LINE,)), (2, ())):
            after = after.following(days=1, mended=mended)
            write_lab(build_company(after), self.base / f"later-{day}")
        (self.home / "lab").mkdir()
        shutil.copy(lab.assets_csv, self.home / "lab" / "assets.csv")
        with self.taxii() as server:
            server.seed(FEED, [*_small(demo_intel()), faulty_intel()])
            settings = SETTINGS.format(
                feed=self.proxy.seen_through(server.collection_url(FEED)),
                shared=self.proxy.seen_through(server.collection_url(SHARED)),
                user=USER,
                password=PASSWORD,
                token=TOKEN,
                jira=self.jira.url,
                hive=self.hive.url,
            )
        if self.server:
            self._server(
                f"DROP DATABASE IF EXISTS {STORE} WITH (FORCE)", f"CREATE DATABASE {STORE}"
            )
            settings += f'\n[store]\nurl = "{self.store}"\n'
        file = self.home / "huntonce.toml"
        file.touch(mode=0o600)
        file.write_text(settings)

    def keep(self, name: str) -> None:
        """Remember how everything stands under a name."""
        kept = self.base / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        shutil.copytree(self.home, kept / "home")
        shutil.copy(self.base / "taxii.db", kept / "taxii.db")
        if self.server:
            beside = _copy_of(name)
            self._server(
                f"DROP DATABASE IF EXISTS {beside}", f"CREATE DATABASE {beside} TEMPLATE {STORE}"
            )
        desks = {"jira": _held(self.jira), "hive": _held(self.hive)}
        (kept / "desks.json").write_text(json.dumps(desks, default=str))
        self._desks = {**getattr(self, "_desks", {}), name: copy.deepcopy(desks)}

    def put_back(self, name: str) -> None:
        """Let everything stand as it did under a name; the TAXII server must be stopped."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.base / name / "home", self.home)
        for leftover in self.base.glob("taxii.db*"):
            leftover.unlink()
        shutil.copy(self.base / name / "taxii.db", self.base / "taxii.db")
        if self.server:
            self._server(_GONE, f"CREATE DATABASE {STORE} TEMPLATE {_copy_of(name)}")
        held = copy.deepcopy(self._desks[name])
        vars(self.jira).update(held["jira"])
        vars(self.hive).update(held["hive"])
        self.behave()

    def _server(self, *statements: str) -> None:
        engine = create_engine(self.server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def behave(self) -> None:
        """The servers stop misbehaving."""
        self.proxy.reset()
        for fake in (self.jira, self.hive):
            fake.faults, fake.lose, fake.slow = [], [], 0.0

    def close_cases(self) -> None:
        """The people of IR close what is open at their desk."""
        for case in self.hive.cases:
            if case["stage"] != "Closed":
                self.hive.close(case["_id"], "TruePositive", "WithImpact", "The payload ran.")


def _copy_of(name: str) -> str:
    return f"{STORE}_{name.replace('-', '_')}"


def _held(fake: FakeJira | FakeTheHive) -> dict[str, Any]:
    keep = ("issues", "at", "cases", "observables", "procedures", "said")
    return {name: copy.deepcopy(value) for name, value in vars(fake).items() if name in keep}


def _small(bodies: tuple[bytes, ...]) -> Iterator[bytes]:
    """The intel without the behaviours that are not hunted here, and without TLP:RED.

    What waits for red intel gets no ticket at a desk, and tickets are to be seen here.
    """
    objects = [orjson.loads(body) for body in bodies]
    red = {one["id"] for one in objects if one.get("name") == "TLP:RED"}
    out = {
        one["id"]
        for one in objects
        if one["type"] == "attack-pattern"
        and one["external_references"][0]["external_id"] not in HUNTED
    }
    for one in objects:
        marked = red.intersection(one.get("object_marking_refs", ()))
        if not marked and one["id"] not in out and one.get("target_ref") not in out:
            yield orjson.dumps(one)


def end_state(site: Site) -> dict[str, Any]:
    """All that a turn leaves, here and outside, but for times, runs and who claimed what.

    Raises:
        AssertionError: The chain of the log is broken, or something was left half done.
    """
    opened = Home(path=site.home)
    try:
        with opened.store.unit() as unit:
            assert unit.log.verify() is None, "the chain of the log is broken"
            state: dict[str, Any] = {
                "intel": _named({
                    f"{one.id} {unit.intel.feeds(one.id)}": len(unit.intel.versions(one.id))
                    for one in unit.intel.latest(revoked=True)
                }),
                "hypotheses": sorted(
                    (h.key, h.state.value, str(h.verdict), str(h.hunted))
                    for h in unit.hypotheses.list()
                ),
                "hunts": sorted(
                    (run.hypothesis_key, str(run.start), str(run.end), str(run.verdict))
                    for run in unit.hunts.list(HuntState.CONCLUDED)
                ),
                "findings": sorted((f.key, f.score) for f in unit.findings.list()),
                "gaps": sorted((g.key, g.state.value, bool(g.ticket)) for g in unit.gaps.list()),
                "cases": sorted(
                    (c.key, c.state.value, bool(c.remote_id)) for c in unit.cases.list()
                ),
                "detections": sorted(
                    (d.rule_id, _logic(d.rule), d.state.value, d.healthy, len(d.deployments))
                    for d in unit.detections.list()
                ),
                "messages": Counter(
                    f"{m.channel.value} {m.action} {m.target} {m.state.value}"
                    for m in unit.outbox.list()
                ),
                "publications": Counter(
                    f"{p.object_id.partition('--')[0]} {_reached(p.state.value)}"
                    for p in unit.publications.list()
                ),
                "published": _named({p.object_id: 1 for p in unit.publications.list()}),
                "changes": Counter(
                    f"{row.subject.partition('-')[0]} {row.before or '-'} > {row.after}"
                    for row in unit.log.rows()
                    if row.kind in CHANGES
                ),
            }  # fmt: skip
        lake = opened.siem()
        window = lake.extent()
        table = lake.inventory(window).to_pylist() if window else []
        state["lake"] = [str(window), sum(row["events"] for row in table)]
    finally:
        opened.close()
    state["tickets there"] = sorted(
        (_tags(i["fields"]["labels"]), i["fields"]["status"]["name"],
         len(i["fields"]["comment"]["comments"]))
        for i in site.jira.issues
    )  # fmt: skip
    state["cases there"] = sorted(
        (_tags(c["tags"]), c["stage"], len(site.hive.observables.get(c["_id"], [])),
         len(site.hive.procedures.get(c["_id"], [])))
        for c in site.hive.cases
    )  # fmt: skip
    state["intel there"] = _served(site)
    rules = (site.home / "rules").rglob("*")
    state["rule files"] = sorted(str(p.relative_to(site.home)) for p in rules if p.is_file())
    state["left over"] = sorted(
        str(p.relative_to(site.home)) for p in (site.home / "lake").rglob("*.tmp")
    )
    whole: dict[str, Any] = json.loads(json.dumps(state, default=str))
    return whole


def _logic(rule: str) -> str:
    """What a rule looks for; the reports that it names are those that had arrived by then."""
    return rule.partition("logsource:")[2]


def _reached(state: str) -> str:
    return "there" if state in {"sent", "already_present"} else state


def _tags(tags: list[str]) -> list[str]:
    return sorted(tags)


def _served(site: Site) -> dict[str, int]:
    """Objects of the shared collection with the number of their versions."""
    engine = create_engine(f"sqlite:///{site.base / 'taxii.db'}")
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select object_id, count(*) from taxii_object"
                " where collection = :c group by object_id order by object_id"
            ),
            {"c": SHARED},
        )
        found = {str(name): int(number) for name, number in rows}
    engine.dispose()
    return _named(found)


def _named(versions: dict[str, int]) -> dict[str, int]:
    """Versions of each object; of notes and sightings how many there are.

    The ids of those contain when a hunt ended, and a hunt that was killed ends later.
    """
    named: Counter[str] = Counter()
    for name, number in versions.items():
        kind = name.partition("--")[0]
        named[kind if kind in {"note", "sighting"} else name] += number
    return dict(sorted(named.items()))
