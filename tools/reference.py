"""Write docs/reference.md (commands, settings, flows, blocks) and the numbers of docs/metrics.md.

All is read from the code itself.

usage: python tools/reference.py [--check]     --check: fail where the page is not current
"""

import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import typer
import yaml
from prefect.blocks.core import Block
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from huntonce.cli.main import app
from huntonce.connectors.siem.registry import find_kind, kinds
from huntonce.flows.blocks import BLOCKS
from huntonce.flows.settings import Settings
from huntonce.models.report.definitions import DEFINITIONS, TABLES, WHEN

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
METRICS = PAGE.with_name("metrics.md")
HEAD = """# Reference

Written by `python tools/reference.py` from the code; a test fails where it is not current.

Every command takes `--home DIR` (or `HUNTONCE_HOME`; default `.huntonce`) and `--json` (one JSON
document on standard output).

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage or configuration |
| 3 | done, but something was set aside (`--json` names it) |
| 4 | a needed service could not be reached |
"""


def commands() -> Iterator[str]:
    """A table row a command."""
    yield "## Commands\n"
    yield "| command | what it does | options |"
    yield "|---|---|---|"
    yield from _group(typer.main.get_command(app), "huntonce")


def _group(command: Any, path: str) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    own = [p for p in command.params if p.name not in {"home", "as_json", "help", "_version"}]
    alone = not subcommands or getattr(command, "invoke_without_command", False)
    if alone and path != "huntonce":
        yield _row(command, path, own)
    for name in sorted(subcommands):
        yield from _group(subcommands[name], f"{path} {name}")


def _row(command: Any, path: str, parameters: list[Any]) -> str:
    words = [(p.name.upper() if p.param_type_name == "argument" else "") for p in parameters]
    usage = " ".join([path, *[word for word in words if word]])
    options = "<br>".join(
        f"`{p.opts[0] if p.param_type_name == 'option' else p.name.upper()}` {p.help or ''}"
        for p in parameters
    )
    told = getattr(command.callback, "__doc__", "") if parameters or command.callback else ""
    text = " ".join((told or command.help or "").split())
    return f"| `{usage}` | {text} | {options} |"


def settings() -> Iterator[str]:
    """A table row a setting."""
    yield "\n## Settings\n"
    yield "In `huntonce.toml` of the home, or in the environment: `HUNTONCE_` and the name in"
    yield "capitals, parts joined by two underscores (`HUNTONCE_POLICY__POWER_FLOOR`).\n"
    yield "| setting | default | meaning |"
    yield "|---|---|---|"
    yield from _fields(Settings, "")
    for name in kinds():
        yield f"\nA SIEM of kind `{name}`:\n"
        yield "| setting | default | meaning |"
        yield "|---|---|---|"
        yield from _fields(find_kind(name).settings, "siems.NAME.")


def _fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield from _rows(model.model_fields, prefix)


def _rows(fields: Mapping[str, FieldInfo], prefix: str) -> Iterator[str]:
    for name, field in fields.items():
        kind, path = field.annotation, f"{prefix}{name}"
        parts = [a for a in getattr(kind, "__args__", ()) if _is_model(a)]
        if _is_model(kind):
            yield from _fields(kind, f"{path}.")  # type: ignore[arg-type]
        elif parts:
            deeper = f"{path}.NAME." if getattr(kind, "__origin__", None) is dict else f"{path}[]."
            yield from _fields(parts[0], deeper)
        else:
            yield f"| `{path}` | {_default(field.default)} | {field.description} |"


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    text = getattr(value, "get_secret_value", lambda: value)()
    return f"`{text}`" if text not in ("", [], None) else ""


def deployments() -> Iterator[str]:
    """A table row a deployment."""
    yield "\n## Deployments\n"
    yield "Registered by `huntonce serve` or `prefect deploy --all`; schedules are off at first.\n"
    yield "| deployment | what it does | schedule |"
    yield "|---|---|---|"
    recipe = yaml.safe_load((files("huntonce.content") / "prefect.yaml").read_text())
    for item in recipe["deployments"]:
        crons = ", ".join(f"`{s['cron']}`" for s in item.get("schedules", ()))
        yield f"| {item['name']} | {item['description']} | {crons} |"


def blocks() -> Iterator[str]:
    """A part a block type, a table row a field of it; read from the classes, whatever they are."""
    yield "\n## Blocks\n"
    yield "Connectors that can be made on Prefect's Blocks page instead of in huntonce.toml; a"
    yield "block's name is used like a name there, and a name in the file wins.\n"
    for kind in BLOCKS:
        what = " ".join((kind.get_description() or "").split())
        yield f"### {kind.get_block_type_name()}\n"
        yield f"`{kind.get_block_type_slug()}`: {what}\n"
        yield "| field | default | meaning |"
        yield "|---|---|---|"
        own = {
            name: field
            for name, field in kind.model_fields.items()
            if name not in Block.model_fields
        }
        yield from _rows(own, "")
        yield ""


def page() -> str:
    """The whole page."""
    parts = [*commands(), *settings(), *deployments(), *blocks()]
    return "\n".join([HEAD, *parts]).rstrip() + "\n"


def numbers() -> Iterator[str]:
    """Tables of what every number and every table of the programme means."""
    parts = {"gaps": "Gaps", "detections": "Detections", "findings": "Findings", "loop": "The loop"}
    for part, title in parts.items():
        yield f"### {title}\n"
        yield "| number | name | what is counted | when | from |"
        yield "|---|---|---|---|---|"
        for name, d in DEFINITIONS.items():
            if d.outcome == part:
                unit = {"count": "", "sum": ""}.get(d.unit, f" ({d.unit})")
                cells = (d.label + unit, d.means, WHEN[d.when], d.counted_from)
                yield f"| `{name}` | {' | '.join(cells)} |"
        yield ""
    yield "### Tables\n"
    yield "| table | what it shows |"
    yield "|---|---|"
    yield from (f"| `{name}` | {means} |" for name, means in TABLES.items())


def metrics_page(text: str) -> str:
    """The page on numbers with its definitions as they are in the code."""
    head, _, rest = text.partition("<!-- definitions -->\n")
    tail = rest.partition("<!-- end -->")[2]
    return "\n".join([f"{head}<!-- definitions -->", *numbers(), f"<!-- end -->{tail}"])


if __name__ == "__main__":
    current = {PAGE: page(), METRICS: metrics_page(METRICS.read_text())}
    for path, text in current.items():
        if "--check" in sys.argv and path.read_text() != text:
            sys.exit(f"{path.name} is not current")
        path.write_text(text)
