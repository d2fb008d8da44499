"""Prefect's pages in a real browser: from the hunt's form to its page, an approval and the case.

HUNTONCE_SHOTS=docs/operators renews the pictures of the operator's guide.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as Late

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.lab.company import LabSpec, build_company
from tests.e2e.conftest import Run
from tests.support.serving import Served, ask, serving, wait_for
from tests.support.shared import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
PATIENCE = 60_000
SECRET = "told-to-nobody"
LABEL, SELECT = ".schema-form-property__label", ".p-select-button__control"
NONSENSE = {
    "loop": ("SIEM", "x" * 101),
    "pull-intel": ("Source", "x" * 201),
    "plan-hunts": ("At most", "1001"),
    "hunt": ("Target", "T10"),
    "probe-telemetry": ("SIEM", "x" * 101),
    "verify-gaps": ("SIEM", "x" * 101),
    "run-detections": ("SIEM", "x" * 101),
    "close-the-loop": ("Case", "x" * 41),
    "publish-intel": ("Home", "x" * 501),
    "report": ("Days", "-1"),
}
"""What each form must refuse before there is a run: a field, and what is typed into it."""
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


def newest(served: Served, key: str) -> str:
    """Address of the newest page of a key."""
    wanted = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 1}
    (found,) = ask("POST", f"{served.api}/artifacts/filter", wanted)
    return f"/artifacts/artifact/{found['id']}"


def submit(page: Page, served: Served, name: str) -> str:
    """Send the form; the id of the run that it made."""
    before = {run["id"] for run in served.runs(name)}
    for _ in range(3):  # a click while the form draws itself anew is lost
        with suppress(Late):
            page.get_by_role("button", name="Submit").click(timeout=PATIENCE / 3)
            page.get_by_text("scheduled to start").first.wait_for(timeout=PATIENCE / 3)
            break
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


def field(page: Page, title: str) -> Locator:
    """One parameter of a form."""
    label = page.locator(LABEL).filter(has_text=re.compile(rf"^{re.escape(title)}( \(|$)"))
    return page.locator(".schema-form-property").filter(has=label)


def check_control(part: Locator, asked: dict[str, Any]) -> None:
    """The control of a field is that of its type, and shows the default."""
    default = asked.get("default")
    if "anyOf" in asked:
        expect(part.get_by_role("button", name="None")).to_have_attribute("aria-selected", "true")
        other = part.locator(".p-button-group button").first
        dated = other.inner_text() == "date-time"
        other.click()
        expect(part.locator(".p-date-button" if dated else SELECT)).to_have_count(1)
    elif "enum" in asked:
        expect(part.locator(SELECT)).to_have_count(1)
    elif asked["type"] == "boolean":
        switch = part.get_by_role("switch")
        expect(switch).to_have_attribute("aria-checked", str(default).lower())
    elif asked["type"] == "integer":
        expect(part.get_by_role("spinbutton")).to_have_value(str(default))
    else:
        expect(part.get_by_role("textbox")).to_have_value(default or "")


def test_every_form_says_what_it_asks_and_refuses_nonsense(page: Page, served: Served) -> None:
    recipe = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    names = [one["name"] for one in recipe["deployments"]]
    assert set(names) == NONSENSE.keys() | {"decide-proposal"}

    for name in names:
        schema = served.deployment(name)["parameter_openapi_schema"]
        required = set(schema.get("required", ()))
        fields = sorted(schema["properties"].items(), key=lambda one: one[1]["position"])
        form(page, served, name)
        optional = {key: " (Optional)" * (key not in required) for key, _ in fields}
        titles = [asked["title"] + optional[key] for key, asked in fields]
        expect(page.locator(LABEL)).to_have_text(titles)
        if name == "hunt":  # the guide shows this one
            shoot(page, "hunt-form")
        for _, asked in fields:
            part = field(page, asked["title"])
            words = " ".join(asked["description"].split())
            expect(part.get_by_role("article")).to_have_text(words)
            assert asked["title"][0].isupper(), name
            check_control(part, asked)

        form(page, served, name)
        refusal = "is a required property"
        if name in NONSENSE:
            title, wrong = NONSENSE[name]
            field(page, title).locator("input, textarea").fill(wrong)
            refusal = "Validation failed for field"
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_text(refusal).first).to_be_visible()
    assert ask("POST", f"{served.api}/flow_runs/count", {}) == 0


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
    opened = f"/deployments/deployment/{served.deployment('decide-proposal')['id']}/run?"
    links = [str(link.get_attribute("href")) for link in rendered.get_by_role("link").all()]
    assert len(links) == 2
    assert all(link.startswith(opened) for link in links)


def test_a_detection_is_approved_in_the_form(page: Page, served: Served, huntonce: Run) -> None:
    found = huntonce("proposals", "--home", served.home)[1]["proposals"]
    waiting = [p["id"] for p in found if p["change"] == "deploy"]
    page.goto(newest(served, "proposals"))
    link = page.get_by_role("link", name=waiting[0], exact=True)
    page.goto(str(link.get_attribute("href")))  # clicked, it opens a page of its own
    expect(field(page, "Proposal").get_by_role("textbox")).to_have_value(waiting[0])
    field(page, "Decided by").get_by_role("textbox").fill("Amy")
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
    page.goto(newest(served, "proposals"))
    expect(page.get_by_role("heading", name="Proposals")).to_be_visible()
    expect(page.get_by_role("cell", name=waiting[0], exact=True)).to_have_count(0)
    shoot(page, "proposals")
