import importlib
import importlib.util
import pkgutil
import re
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import yaml
from prefect import Flow
from prefect.blocks.core import Block

from huntonce import flows

ROOT = Path(__file__).parents[2]


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "reference.md").read_text() == tool().page(), (
        "run: python tools/reference.py"
    )


def test_every_number_is_defined_as_the_code_has_it() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()

    assert page == tool().metrics_page(page), "run: python tools/reference.py"


def test_links_between_the_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


def test_every_command_that_a_guide_names_is_one() -> None:
    known = {line.split("`")[1] for line in tool().page().splitlines() if line.startswith("| `hun")}
    words = {" ".join(w for w in name.split() if not w.isupper()) for name in known}
    groups = {" ".join(name.split()[:2]) for name in words}
    unknown = []
    for page in (ROOT / "docs" / "guides").glob("*.md"):
        for line in re.findall(r"`(huntonce [^`]+)`", page.read_text()):
            named = line.split()
            if not ({" ".join(named[:2]), " ".join(named[:3])} & (words | groups)):
                unknown.append(f"{page.name}: {line}")

    assert unknown == []


def test_every_number_that_a_guide_names_is_defined() -> None:
    names = tool().DEFINITIONS.keys() | tool().TABLES.keys()
    asked = [
        name
        for page in (ROOT / "docs" / "guides").glob("*.md")
        for name in re.findall(r"huntonce[ _](?:metrics )([a-z_]+)", page.read_text())
        + re.findall(r"huntonce_([a-z_]+)", page.read_text())
    ]

    assert len(asked) > 8
    assert [name for name in asked if name not in {*names, "log_rows"}] == []


def undocumented(page: str) -> list[str]:
    """Rows of the reference that name something and do not say what it is."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 3 or set(cells[0]) <= {"-"}:
            continue
        command = cells[0].startswith("`huntonce ")
        setting = cells[0].startswith("`") and not command
        if not (cells[2] if setting else cells[1]):
            found.append(cells[0])
        if command:
            options = [option for option in cells[2].split("<br>") if option]
            found += [
                f"{cells[0]} {o.strip()}" for o in options if not o.rpartition("`")[2].strip()
            ]
    return found


def test_every_command_option_setting_and_flow_says_what_it_is() -> None:
    assert undocumented(tool().page()) == []
    assert undocumented("| `huntonce x` | does it | `--a` <br>`--b` is said |") == [
        "`huntonce x` `--a`"
    ]
    assert undocumented("| `part.name` | `1` |  |") == ["`part.name`"]
    assert undocumented("| flow |  | `0 7 * * 1` |") == ["flow"]


def block_types() -> list[type[Block]]:
    """Every block type that the flows define, whether it is registered or not."""
    for module in pkgutil.iter_modules(flows.__path__):
        importlib.import_module(f"huntonce.flows.{module.name}")
    found, left = [], [Block]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.startswith("huntonce.") and "_block_type_slug" in vars(kind):
            found.append(kind)
    return found


def test_every_block_type_is_described_with_all_of_its_fields() -> None:
    page = tool().page().partition("\n## Blocks\n")[2]
    parts = {part.splitlines()[0]: part for part in page.split("\n### ")[1:]}
    missing = []
    for kind in block_types():
        part = parts.get(kind.get_block_type_name(), "")
        told = re.search(rf"^`{kind.get_block_type_slug()}`: \w.+", part, re.MULTILINE)
        missing += [] if told else [kind.__name__]
        own = kind.model_fields.keys() - Block.model_fields.keys()
        missing += [f"{kind.__name__}.{n}" for n in own if f"\n| `{n}` |" not in part]

    assert len(parts) >= 2
    assert missing == []


def test_every_deployment_names_a_flow_and_the_report_is_made_every_week() -> None:
    recipe = yaml.safe_load((files("huntonce.content") / "prefect.yaml").read_text())
    crons = {
        one["name"]: [s["cron"] for s in one.get("schedules", ())] for one in recipe["deployments"]
    }
    flows_named = []
    for one in recipe["deployments"]:
        module, _, name = one["entrypoint"].rpartition(".")
        flows_named.append(getattr(importlib.import_module(module), name))

    assert all(isinstance(one, Flow) for one in flows_named)
    assert [len(cron.split()) for cron in crons["report"]] == [5]
    assert crons["report"][0].split()[2:4] == ["*", "*"]
    assert crons["report"][0].split()[4].isdigit(), "one day of the week"


def test_the_threat_model_names_modules_and_tests_that_exist() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text()
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"`(test_\w+)`", page))
    modules = set(re.findall(r"`((?:cli|flows|connectors|models)/[\w/.]+)`", page))

    assert len(tests) > 40
    assert [name for name in sorted(tests) if f"def {name}(" not in written] == []
    assert [name for name in sorted(modules) if not (ROOT / name).exists()] == []
