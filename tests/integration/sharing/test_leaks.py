"""Secrets, names of ours and closed sources bear a mark each; what leaves or is written is read.

One home with every kind of secret in its settings goes once around: intel, hunts, case,
publication, and then every command that shows or writes something.
"""

import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.intel import taxii_pages
from huntonce.connectors.siem.labfiles import write_lab
from huntonce.flows.bootstrap import Home, now
from huntonce.flows.numbers import Numbers, read_home
from huntonce.models.lab.company import Company, LabSpec, build_company
from huntonce.models.stages.collect import collect
from huntonce.models.stages.hypothesise import hypothesise
from huntonce.models.stages.leaving import ticket_of
from tests.integration.sharing.login import COLLECTION, USER
from tests.integration.sharing.organisations import Organisation, objects_at

pytestmark = pytest.mark.integration
SECRETS = {
    name: f"leak-{name}-5e1f7c"
    for name in ("pull", "desk", "siem-key", "database", "served", "approver", "proxy-token")
}
RED = "leak-red-5e1f7c"
RED_TLP = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
STAMP = "2026-01-01T00:00:00.000Z"
SETTINGS = """
[organisation]
name = "Ostermark"
internal_names = {names}
[policy]
publish = "auto"
[publish.shared]
url = "{collection}"
username = "{user}"
password = "secret"
max_tlp = "amber"
[intel.closed]
url = "http://127.0.0.1:9/root/collections/1/"
username = "u"
password = "{pull}"
[intel.token]
url = "http://127.0.0.1:9/root/collections/2/"
token = "{proxy-token}"
[desks.jira]
kind = "jira"
url = "http://127.0.0.1:9"
token = "{desk}"
project = "HUNT"
[siems.cluster]
kind = "opensearch"
url = "https://127.0.0.1:9"
api_key = "{siem-key}"
[siems.base]
kind = "postgresql"
url = "postgresql://u:{database}@127.0.0.1:9/x"
[taxii]
username = "u"
password = "{served}"
[approvers.jane]
token = "{approver}"
"""
COMMANDS = (
    "doctor", "doctor --connect", "doctor --deep", "hypotheses", "gaps", "cases", "detections",
    "proposals", "intel quarantine", "intel publications", "intel pull", "intel sources", "desks",
    "desks check", "desks sync", "metrics", "lake show", "show CASE-1", "explain T1053.005", "ioc",
    "hunt T1053.005 --siem cluster", "hunt T1053.005 --siem base", "evidence T1053.005",
)  # fmt: skip


@dataclass
class Around:
    """What there is to search after the home went around."""

    folder: Path
    company: Company
    left: bytes
    shown: dict[str, bytes] = field(default_factory=dict)

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Every file below, and every member of the zips."""
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(self.folder).as_posix()
            yield name, path.read_bytes()
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as packed:
                    for member in packed.namelist():
                        yield f"{name}:{member}", packed.read(member)


def red_report() -> bytes:
    """A closed source's words on two techniques, one of which is hunted with success."""

    def stix(kind: str, number: int, **more: object) -> dict[str, object]:
        name = f"{kind}--00000000-0000-4000-8000-{number:012}"
        head = {"type": kind, "spec_version": "2.1", "id": name, "created": STAMP}
        return {**head, "modified": STAMP, "object_marking_refs": [RED_TLP], **more}

    reference = {"source_name": "mitre-attack", "external_id": "T1543.003"}
    actor = stix("intrusion-set", 1, name=f"{RED} actor", description=f"{RED} says")
    pattern = stix("attack-pattern", 2, name="Service", external_references=[reference])
    uses = stix(
        "relationship",
        3,
        relationship_type="uses",
        source_ref=actor["id"],
        target_ref=pattern["id"],
        description=f"{RED} how they do it",
    )
    marking = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": RED_TLP,
        "created": STAMP,
        "name": "TLP:RED",
        "extensions": {
            "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {
                "extension_type": "property-extension",
                "tlp_2_0": "red",
            }
        },
    }
    objects = [marking, actor, pattern, uses]
    bundle = {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000009"}
    return json.dumps({**bundle, "objects": objects}).encode()


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    from tests.integration.sharing.conftest import server  # noqa: PLC0415 - as a plain function

    folder = tmp_path_factory.mktemp("leaks")
    started = server.__wrapped__()  # type: ignore[attr-defined]
    taxii = next(started)
    collection = taxii.collection_url(COLLECTION)
    company = build_company(LabSpec(seed=7, hosts=24, days=3, noise=0.2))
    home = folder / "home"
    home.mkdir(mode=0o700)
    names = sorted({host.name for host in company.hosts})
    (home / "huntonce.toml").write_text(
        SETTINGS.format(collection=collection, user=USER, names=json.dumps(names), **SECRETS)
    )
    (home / "huntonce.toml").chmod(0o600)
    log = logging.FileHandler(folder / "everything.log")
    logging.getLogger().addHandler(log)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(taxii_pages, "_PAUSES", (0.0, 0.0))
            yield _turn(home, company, collection, folder)
    finally:
        logging.getLogger().setLevel(level)
        logging.getLogger().removeHandler(log)
        log.close()
        next(started, None)


def _turn(home: Path, company: Company, collection: str, folder: Path) -> Around:
    first = Organisation(Home(path=home, clock=now, actor="ann"))
    first.record(write_lab(company, folder / "telemetry").paths)
    (folder / "red.json").write_bytes(red_report())
    kit = first.home.kit()
    collect(first.home.bundles([folder / "red.json"]), kit.open_unit, kit.clock)
    hypothesise(kit)
    first.hunt("T1543.003")
    settled = first.hunt("T1053.005")
    assert settled.cases
    first.close_cases()
    assert first.publish()
    first.home.close()
    made = Around(folder, company, json.dumps(objects_at(collection)).encode())
    runner = CliRunner()
    at = ["--home", str(home)]
    for command in COMMANDS:
        for more in ([], ["--json"]):
            done = runner.invoke(app, [*command.split(), *at, *more])
            made.shown[" ".join([command, *more])] = (
                done.output.encode() + str(done.exception).encode()
            )
    for command in (
        f"report --out {folder / 'report'}",
        f"pack CASE-1 --out {folder / 'case.zip'}",
        f"backup {folder / 'all.backup'}",
    ):
        done = runner.invoke(app, [*command.split(), *at])
        assert done.exit_code in {0, 3}, done.output
        made.shown[command] = done.output.encode()
    registry = CollectorRegistry()
    registry.register(Numbers(lambda: read_home(home)))
    made.shown["prometheus"] = generate_latest(registry)
    return made


def test_the_turn_had_something_to_leak(around: Around) -> None:
    settings = (around.folder / "home" / "huntonce.toml").read_text()
    assert all(secret in settings for secret in SECRETS.values())
    assert b"incident" in around.left
    assert RED.encode() in around.shown["hypotheses --json"], "we ourselves may read it"
    assert around.company.hosts[0].name.encode() in around.shown["lake show --json"]
    usage = [name for name, text in around.shown.items() if b"No such command" in text]
    assert usage == []


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_the_settings_and_nowhere_else(around: Around, name: str) -> None:
    mark = SECRETS[name].encode()

    assert mark not in around.left
    assert [where for where, text in around.shown.items() if mark in text] == []
    # A backup holds the whole home, as its command says.
    expected = {"home/huntonce.toml", "all.backup"}
    assert {where for where, text in around.written() if mark in text} <= expected


def test_names_of_ours_do_not_leave(around: Around) -> None:
    for host in around.company.hosts:
        for mark in {host.name, host.name.lower()}:
            assert mark.encode() not in around.left
            assert mark.encode() not in around.shown["prometheus"]


def test_a_closed_source_s_words_do_not_leave(around: Around) -> None:
    assert RED.encode() not in around.left
    assert RED.encode() not in around.shown["prometheus"]
    members = {
        where
        for where, text in around.written()
        if where.startswith("case.zip:") and RED.encode() in text
    }
    # A gap says who would profit from it; its ticket is marked as tightly (docs/threat-model.md).
    assert members <= {"case.zip:gaps.jsonl"}


def test_the_ticket_of_a_gap_that_a_closed_source_makes_worth_it_is_as_closed(
    around: Around,
) -> None:
    with Home(path=around.folder / "home").store.unit() as unit:
        told = [(ticket_of(unit, gap), gap) for gap in unit.gaps.list()]
    naming = [payload["tlp"] for payload, gap in told if RED in gap.business]
    assert naming
    assert set(naming) == {"red"}


def test_what_is_written_is_its_owner_s_alone(around: Around) -> None:
    home = around.folder / "home"
    assert home.stat().st_mode & 0o077 == 0
    assert (home / "huntonce.toml").stat().st_mode & 0o077 == 0
    for name in ("all.backup", "case.zip"):
        assert (around.folder / name).stat().st_mode & 0o077 == 0, name
