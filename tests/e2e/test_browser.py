"""Prefect's pages in a real browser: from the hunt's form to its page, an approval and the case.

HUNTONCE_SHOTS=docs/operators renews the pictures of the operator's guide.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as Late

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.lab.company import LabSpec, build_company
from tests.e2e.conftest import Run
from tests.support.serving import Served, ask, serving, wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
PATIENCE = 60_000
SECRET = "told-to-nobody"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("pages") / "home"
    home.mkdir()
    company = build_company(LabSpec(hosts=40, days=7))
    load_paths(home / "lake", write_lab(company, tmp_path_factory.mktemp("lab")).paths)
    (home / "huntonce.toml").write_text('[policy]\ndeploy = "ask"\n')
    with serving(home) as served:
        yield served


@pytest.fixture(scope="module")
def page(served: Served) -> Iterator[Page]:
    outside: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1100, "height": 800}, base_url=served.url)
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((served.url, "data:", "blob:"))
                else outside.append(request.url)
            ),
        )
        yield page
        browser.close()
    assert outside == [], "the pages asked somebody else"


def form(page: Page, served: Served, name: str) -> None:
    """Open a deployment's form."""
    page.goto(f"/deployments/deployment/{served.deployment(name)['id']}/run")
    expect(page.get_by_role("button", name="Submit")).to_be_visible()
    expect(page.get_by_role("article").first).to_be_visible()


def choose(page: Page, word: str, *, among: Sequence[str]) -> None:
    """Pick a word of the form's one list, by keyboard and click.

    The form draws its fields anew a moment after one was filled, which closes an open list.
    """
    control = page.locator(".p-select-button__control")
    choices = page.locator(".p-select-option")
    for _ in range(10):
        control.press("ArrowDown")
        try:
            choices.filter(has_text=word).wait_for(timeout=3_000)
            assert choices.all_inner_texts() == list(among)
            choices.filter(has_text=word).click(timeout=3_000)
        except Late:
            continue
        break
    expect(control).to_have_text(word)


def submit(page: Page, served: Served, name: str) -> str:
    """Send the form; the id of the run that it made."""
    before = {run["id"] for run in served.runs(name)}
    page.get_by_role("button", name="Submit").click()
    return str(
        wait_for(
            lambda: next((r["id"] for r in served.runs(name) if r["id"] not in before), None),
            f"a run of {name}",
        )
    )


def watch(page: Page, run: str) -> None:
    """Look at a run's page until it says that the run is complete."""
    page.goto(f"/runs/flow-run/{run}")
    expect(page.get_by_role("banner").get_by_text("Completed")).to_be_visible(timeout=3 * PATIENCE)


def shoot(page: Page, name: str) -> None:
    """A picture for the guide, where they are being renewed."""
    folder = os.environ.get("HUNTONCE_SHOTS")
    if folder:
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_hunts_form_says_what_it_wants_and_refuses_nonsense(page: Page, served: Served) -> None:
    form(page, served, "hunt")

    expect(
        page.get_by_text("What to hunt for: a technique (T1053.005, or its name)")
    ).to_be_visible()
    expect(page.get_by_role("button", name="date-time")).to_have_count(2)
    expect(page.get_by_role("switch")).to_have_count(2)
    page.get_by_role("button", name="date-time").first.click()
    expect(page.get_by_text("Property is type")).to_have_count(2)  # a date is asked for instead
    shoot(page, "hunt-form")
    form(page, served, "hunt")
    page.get_by_role("textbox").nth(1).fill("T10")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Validation failed for field 'target'").first).to_be_visible()
    assert served.runs("hunt") == []


def test_a_siem_is_connected_by_a_form_that_says_what_it_wants_and_keeps_the_secret(
    page: Page,
) -> None:
    page.goto("/blocks/catalog/huntonce-siem-opensearch/create")
    for described in ("Its HTTP address.", "Encoded API key, instead of a user name."):
        expect(page.get_by_text(described)).to_be_visible()
    fields = page.get_by_role("textbox")
    for place, text in enumerate(("corp", "https://siem.example:9200", "huntonce")):
        fields.nth(place).fill(text)
    shoot(page, "siem-block")

    fields.nth(3).fill(SECRET)
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_text("********")).to_be_visible()
    expect(page.get_by_text("prefect deployment run hunt/hunt -p siem=corp")).to_be_visible()
    assert SECRET not in page.content()


def test_a_hunt_is_started_watched_and_read(page: Page, served: Served) -> None:
    form(page, served, "hunt")
    page.get_by_role("textbox").nth(1).fill("T1053.005")
    run = submit(page, served, "hunt")
    watch(page, run)
    page.get_by_role("tablist").get_by_text("Artifacts").click()
    page.get_by_role("link").filter(has_text="hunt-1").first.wait_for()
    shoot(page, "hunt-run")

    page.get_by_role("link").filter(has_text="hunt-1").first.click()
    expect(page.get_by_role("heading", name="Queries as sent")).to_be_visible()
    for heading in ("Waiting for a person", "Findings", "Gaps", "Detections", "Cases", "Outcomes"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    for text in ("Verdict: confirmed", "weakest:", "CASE-1", "GAP-1", "D-1", "P-1"):
        expect(page.get_by_text(text).first).to_be_visible()
    shoot(page, "hunt-page")
    rendered = page.get_by_role("article").last
    assert rendered.locator("img, script, iframe").count() == 0
    links = rendered.get_by_role("link").all()
    assert {link.get_attribute("href") for link in links} == {"/deployments"}


def test_a_detection_is_approved_in_the_form(page: Page, served: Served, huntonce: Run) -> None:
    found = huntonce("proposals", "--home", served.home)[1]["proposals"]
    waiting = [p["id"] for p in found if p["change"] == "deploy"]
    form(page, served, "decide-proposal")
    boxes = page.get_by_role("textbox")
    boxes.nth(1).fill(waiting[0])
    boxes.nth(2).fill("Amy")
    choose(page, "approve", among=("approve", "reject"))
    shoot(page, "decide-form")
    run = submit(page, served, "decide-proposal")
    watch(page, run)

    (decided,) = [
        p
        for p in huntonce("proposals", "--home", served.home)[1]["proposals"]
        if p["id"] == waiting[0]
    ]
    assert (decided["state"], decided["decided_by"]) == ("approved", "Amy")
    detections = huntonce("detections", "--home", served.home)[1]["detections"]
    running = [
        d["id"] for d in detections if any(x["observed"] == "enabled" for x in d["deployments"])
    ]
    assert decided["subject"] in running
    wanted = {"artifacts": {"key": {"any_": ["proposals"]}}, "sort": "CREATED_DESC", "limit": 1}
    (newest,) = ask("POST", f"{served.api}/artifacts/filter", wanted)
    page.goto(f"/artifacts/artifact/{newest['id']}")
    expect(page.get_by_role("heading", name="Proposals")).to_be_visible()
    expect(page.get_by_role("cell", name=waiting[0], exact=True)).to_have_count(0)
    shoot(page, "proposals")
