"""What operators rely on in Prefect: triggers, schedules, forms, blocks, dry runs, cancelling."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from huntonce.connectors.intel.taxii_server.server import TaxiiServer
from huntonce.connectors.intel.taxii_server.settings import CollectionSpec, User
from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.flows.blockreading import connectors_of
from huntonce.models.lab.company import LabSpec, build_company
from tests.e2e.conftest import Run
from tests.support.serving import Served, ask, free_port, login_of, serving, wait_for
from tests.support.shared import ROOT

pytestmark = pytest.mark.e2e
THEIRS = "2f0d2c63-6f1b-4a53-9a3e-3d1d7a6f0c01"
OURS = "2f0d2c63-6f1b-4a53-9a3e-3d1d7a6f0c02"
SECRET = "told-to-nobody"
PASSWORD = "a password of the test"
LOGIN = "amy:of-the-test"
INTEL = ROOT / "content" / "intel" / "copper-heron.json"


def one_behaviour() -> list[dict[str, Any]]:
    """The objects of the report without those of other techniques: one hunt is due, not ten."""
    objects = json.loads(INTEL.read_text())["objects"]
    others = {
        one["id"]
        for one in objects
        if one["type"] == "attack-pattern"
        and all(ref.get("external_id") != "T1053.005" for ref in one["external_references"])
    }
    kept = [one for one in objects if one["id"] not in others]
    for one in kept:
        if "object_refs" in one:
            one["object_refs"] = [ref for ref in one["object_refs"] if ref not in others]
    return [one for one in kept if not others & {one.get("source_ref"), one.get("target_ref")}]


@pytest.fixture(scope="module")
def taxii(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaxiiServer]:
    database = tmp_path_factory.mktemp("taxii") / "taxii.db"
    with TaxiiServer(
        db_url=f"sqlite:///{database}",
        users=[User("us", PASSWORD)],
        collections=[
            CollectionSpec(THEIRS, "Theirs"),
            CollectionSpec(OURS, "Ours", can_write=True),
        ],
    ) as server:
        server.seed(THEIRS, [json.dumps(content).encode() for content in one_behaviour()])
        yield server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, taxii: TaxiiServer) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("desk") / "home"
    home.mkdir()
    company = build_company(LabSpec(hosts=60, days=14))
    load_paths(home / "lake", write_lab(company, tmp_path_factory.mktemp("lab")).paths)
    (home / "huntonce.toml").write_text(
        '[policy]\npublish = "auto"\ndeploy = "ask"\n'
        f'[publish.sector]\nurl = "{taxii.collection_url(OURS)}"\n'
        f'username = "us"\npassword = "{PASSWORD}"\nmax_tlp = "amber"\n'
    )
    with serving(home, login=LOGIN) as served:
        yield served


def test_nobody_gets_in_without_the_login(served: Served) -> None:
    bare = served.api.replace(f"{LOGIN}@", "")

    assert httpx.post(f"{bare}/deployments/filter", json={}).status_code == 401
    assert httpx.post(f"{bare}/deployments/filter", json={}, auth=("amy", "no")).status_code == 401
    assert len(deployments(served)) >= 10


def test_every_parameter_is_described_in_its_form(served: Served) -> None:
    answer = deployments(served)

    bare = [
        f"{deployment['name']}.{name}"
        for deployment in answer
        for name, field in deployment["parameter_openapi_schema"]["properties"].items()
        if not field.get("description")
    ]
    assert len(answer) >= 10
    assert bare == []


def test_a_dry_run_shows_all_and_keeps_nothing(served: Served, huntonce: Run) -> None:
    state = served.run("hunt", target="Scheduled Task", dry_run=True)

    assert state["type"] == "COMPLETED", state
    page = served.pages()["dry-run"]
    assert "nothing was recorded" in page.replace("\\", "")
    assert "Queries as sent" in page
    for kind in ("gaps", "detections", "cases", "proposals"):
        assert huntonce(kind, "--home", served.home)[1][kind] == []


def test_intel_from_a_block_is_hunted_and_routed_by_events_alone(
    served: Served, taxii: TaxiiServer, huntonce: Run
) -> None:
    save_block(
        served,
        "huntonce-taxii-source",
        "their-feed",
        url=taxii.collection_url(THEIRS),
        username="us",
        password=PASSWORD,
    )

    state = served.run("pull-intel", source="their-feed")
    assert state["type"] == "COMPLETED", state
    hunt = wait_for(lambda: ended(served, "hunt", once=True), "the event's hunt")
    routed = wait_for(lambda: ended(served, "close-the-loop"), "the routing")

    assert (hunt["state"]["type"], routed["state"]["type"]) == ("COMPLETED", "COMPLETED")
    pages = served.pages()
    assert "their\\-feed\\: 38 objects" in pages["pull-intel"]
    assert "1 hunt asked for" in pages["plan-hunts"]
    (case,) = huntonce("cases", "--home", served.home)[1]["cases"]
    assert case["remote_id"]

    words = ("close", case["id"], "--determination", "confirmed", "--home", served.home)
    closed = huntonce("cases", *words, environment=login_of(LOGIN))
    assert closed[0] == 0, closed[2]
    sent = wait_for(lambda: ended(served, "publish-intel"), "the closed case's publication")

    assert sent["state"]["type"] == "COMPLETED", sent["state"]
    assert {"indicator", "report"} & taxii_types(taxii)


def test_a_siem_in_a_block_is_hunted_in_by_its_name_and_its_secret_is_told_to_nobody(
    served: Served, huntonce: Run
) -> None:
    nowhere = f"postgresql://us:{SECRET}@127.0.0.1:{free_port()}/events"
    save_block(served, "huntonce-siem-postgresql", "warehouse", url=nowhere)
    save_block(served, "huntonce-siem-opensearch", "twice", url="https://one.example")
    save_block(served, "huntonce-desk-jira", "unfinished", token=SECRET)

    state = served.run("hunt", target="T1053.005", siem="warehouse", dry_run=True)
    shown = ask("POST", f"{served.api}/block_documents/filter", {})

    assert state["type"] == "FAILED"
    assert "no answer:" in state["message"]  # the server was asked: nobody is there
    assert SECRET not in json.dumps([state, shown])
    assert {"warehouse", "twice", "unfinished"} <= {block["name"] for block in shown}
    bare = served.api.replace(f"{LOGIN}@", "")
    with temporary_settings({PREFECT_API_URL: bare, PREFECT_API_AUTH_STRING: LOGIN}):
        siems = connectors_of("siems")
        second = save_block(
            served, "huntonce-siem-elasticsearch", "twice", url="https://two.example"
        )
        both = connectors_of("siems")
    code, told, _ = huntonce("doctor", "--home", served.home, environment=login_of(LOGIN))
    ask("DELETE", f"{served.api}/block_documents/{second}")
    assert both["twice"].kinds == ("elasticsearch", "opensearch")
    assert both["warehouse"] == siems["warehouse"]
    assert code != 0
    assert {c["name"]: c["health"] for c in told["checks"]}["block twice"] == "fail"
    assert siems["warehouse"] == {"kind": "postgresql", "url": nowhere}


def test_a_schedule_that_was_switched_on_fires_a_hunt(served: Served, huntonce: Run) -> None:
    deployment = served.deployment("hunt")
    before = {run["id"] for run in served.runs("hunt")}
    address = f"{served.api}/deployments/{deployment['id']}/schedules"
    now = datetime.now(UTC).isoformat()
    schedule = {"schedule": {"interval": 20, "anchor_date": now}, "active": True}
    made = ask("POST", address, [schedule])
    try:
        run = wait_for(
            lambda: next(
                (
                    r
                    for r in served.runs("hunt")
                    if r["id"] not in before and r["state_type"] == "COMPLETED"
                ),
                None,
            ),
            "a scheduled hunt",
        )
    finally:
        ask("DELETE", f"{address}/{made[0]['id']}")

    assert run["auto_scheduled"]
    hunts = [k for k in served.pages() if k.startswith("hunt-")]
    newest = max(hunts, key=lambda key: int(key.removeprefix("hunt-")))
    shown = huntonce("show", newest.upper(), "--home", served.home)[1]
    assert shown["state"] == "concluded"
    assert shown["outcomes"]


def test_a_cancelled_hunt_leaves_nothing_half_done(served: Served, huntonce: Run) -> None:
    run = served.start("hunt", target="T1053.005")
    wait_for(lambda: served.state(run)["type"] == "RUNNING", "the hunt to run")
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
    ask("POST", f"{served.api}/flow_runs/{run}/set_state", cancelling)

    ends = {"CANCELLED", "COMPLETED", "CRASHED", "FAILED"}
    wait_for(lambda: served.state(run)["type"] in ends, "the hunt to stop")
    listed = huntonce("hypotheses", "--all", "--home", served.home)[1]["hypotheses"]
    assert {h["state"] for h in listed} <= {"proposed", "ready", "blocked", "concluded"}


def test_registering_again_changes_nothing(served: Served, huntonce: Run) -> None:
    before = {d["name"]: d["id"] for d in deployments(served)}
    bare = served.api.replace(f"{LOGIN}@", "")
    environment = {"PREFECT_API_URL": bare, **login_of(LOGIN)}

    code, _, errors = huntonce("register", "--home", served.home, environment=environment)

    assert code == 0, errors
    assert {d["name"]: d["id"] for d in deployments(served)} == before
    limits = ask("POST", f"{served.api}/v2/concurrency_limits/filter", {})
    assert "huntonce-siem-lake" in {limit["name"] for limit in limits}


def deployments(served: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask("POST", f"{served.api}/deployments/filter", {})
    return found


def ended(served: Served, name: str, **parameters: Any) -> dict[str, Any] | None:
    """The newest run of a deployment with these parameters, where it has ended."""
    for run in reversed(served.runs(name)):
        if parameters.items() <= run["parameters"].items():
            return run if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"} else None
    return None


def save_block(served: Served, slug: str, name: str, **data: Any) -> str:
    """A block as its form saves it; its id."""
    kind = ask("GET", f"{served.api}/block_types/slug/{slug}")
    wanted = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
    schemas = ask("POST", f"{served.api}/block_schemas/filter", wanted)
    document = {
        "name": name,
        "data": data,
        "block_type_id": kind["id"],
        "block_schema_id": schemas[0]["id"],
    }
    return str(ask("POST", f"{served.api}/block_documents/", document)["id"])


def taxii_types(taxii: TaxiiServer) -> set[str]:
    """Types of the objects that were published to our collection."""
    answer = httpx.get(
        f"{taxii.collection_url(OURS)}objects/",
        auth=("us", PASSWORD),
        headers={"Accept": "application/taxii+json;version=2.1"},
    ).json()
    return {item["type"] for item in answer.get("objects", [])}
