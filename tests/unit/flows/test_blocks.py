"""Blocks beside the settings: every kind has one, the settings win, and no secret is told."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator

from huntonce.connectors.cases.thehive import TheHiveCases
from huntonce.connectors.siem.opensearch.siem import OpenSearchSiem
from huntonce.connectors.siem.registry import find_kind, kinds
from huntonce.connectors.siem.warehouse.siem import PostgresSiem
from huntonce.connectors.tickets.jira import JiraTickets
from huntonce.flows.blockreading import desk_kinds, slug_of
from huntonce.flows.blocks import BLOCKS, siem_block
from huntonce.flows.bootstrap import Home
from huntonce.flows.connected import Namesakes
from huntonce.flows.settings import FILE
from huntonce.models.errors import ConfigError
from huntonce.models.tlp import Tlp

SECRET = "hunter2-never-shown"
TABLE = {"kind": "postgresql", "url": f"postgresql://us:{SECRET}@db.example/events"}
JIRA = {"kind": "jira", "url": "https://acme.example", "project": "SOC", "token": SECRET}
HIVE = {"kind": "thehive", "url": "https://hive.example", "token": SECRET}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 - only to see what is set

    for name in list(os.environ):
        if name.upper().startswith("HUNTONCE_"):
            monkeypatch.delenv(name)


def made(**sections: Mapping[str, Any]) -> Callable[[str], Mapping[str, Any]]:
    """What operators made as blocks, by section."""
    return lambda section: sections.get(section, {})


def home_of(path: Path, text: str, **sections: Mapping[str, Any]) -> Home:
    (path / FILE).write_text(text, encoding="utf-8")
    return Home(path=path, elsewhere=made(**sections))


def test_every_kind_has_a_form_that_describes_each_field_and_hides_each_secret() -> None:
    by_slug = {block.get_block_type_slug(): block for block in BLOCKS}

    assert len(by_slug) == len({block.get_block_type_name() for block in BLOCKS}) == len(BLOCKS)
    assert {slug_of("siem", kind) for kind in kinds()} <= by_slug.keys()
    assert {slug_of("desk", kind) for kind in desk_kinds()} <= by_slug.keys()
    for block in BLOCKS:
        schema = block.model_json_schema()
        assert block.get_description()
        assert block.get_code_example()
        assert [n for n, f in schema["properties"].items() if not f.get("description")] == []
        titles = [f["title"] for f in schema["properties"].values()]
        assert [t for t in titles if "_" in t or not t[0].isupper()] == []
        assert "Tlp" not in schema.get("definitions", {}), "its own name and words would be shown"
        assert schema["secret_fields"], block
    for kind in kinds():
        settings = find_kind(kind).settings
        block = by_slug[slug_of("siem", kind)]
        assert block.model_fields.keys() >= settings.model_fields.keys() - {"kind"}
        hidden = {n for n, f in settings.model_fields.items() if f.annotation is SecretStr}
        assert set(block.model_json_schema()["secret_fields"]) == hidden


def test_a_new_kind_has_its_form_from_its_settings_alone() -> None:
    class Settings(BaseModel):
        """One of theirs."""

        kind: Literal["theirs"] = Field("theirs", description="Always this.")
        url: str = Field(pattern="^https://", description="Where it is.")
        key: SecretStr = Field(SecretStr(""), description="Its key.")

        @model_validator(mode="after")
        def _no_secret_for_everybody(self) -> Self:
            if self.key.get_secret_value() == SECRET:
                raise ValueError("another key")
            return self

    block = siem_block("theirs", Settings)
    block.__module__ = __name__  # else it counts as one of the project's own
    schema = block.model_json_schema()

    assert list(schema["properties"]) == ["url", "key"]
    assert schema["required"] == ["url"]
    assert schema["properties"]["url"]["pattern"] == "^https://"
    assert block(url="https://x", key="k").model_dump()["url"] == "https://x"
    for wrong in ({"url": "ftp://x"}, {"url": "https://x", "key": SECRET}):
        with pytest.raises(ValidationError) as caught:
            block(**wrong)
        assert SECRET not in str(caught.value)


def test_the_ceiling_of_a_destination_is_chosen_from_a_list_under_our_words() -> None:
    by_slug = {block.get_block_type_slug(): block for block in BLOCKS}
    schema = by_slug["huntonce-taxii-destination"].model_json_schema()
    ceiling = schema["properties"]["max_tlp"]

    assert schema["required"] == ["max_tlp"]
    assert (ceiling["title"], ceiling["enum"]) == ("Max TLP", [tlp.value for tlp in Tlp])
    assert "most closed marking" in ceiling["description"]
    source = by_slug["huntonce-taxii-source"]
    assert source(url="https://x", max_tlp="green").model_dump()["max_tlp"] is Tlp.GREEN
    with pytest.raises(ValidationError, match="give either url, or discovery"):
        source(max_tlp="green")


def test_a_siem_that_was_made_as_a_block_is_there_beside_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTONCE_SIEMS__BOTH__KIND", "opensearch")
    monkeypatch.setenv("HUNTONCE_SIEMS__BOTH__URL", "https://cluster.example")
    text = '[siems.file]\nurl = "https://file.example"\n'
    home = home_of(tmp_path, text, siems={"both": TABLE, "table": TABLE, "file": TABLE})

    assert set(home.siem_names()) == {"lake", "both", "table", "file"}
    assert isinstance(home.siem("table"), PostgresSiem)
    assert isinstance(home.siem("both"), OpenSearchSiem)  # the environment's, whole
    assert isinstance(home.siem("file"), OpenSearchSiem)
    assert SECRET not in repr(home.connected)


def test_a_name_of_two_blocks_stops_only_those_who_ask_for_it(tmp_path: Path) -> None:
    twice = Namesakes("twice", ("postgresql", "opensearch"))
    chosen = '[tickets]\ndesk = "twice"\n'
    siems = {"table": TABLE, "twice": twice, "file": twice}
    settled = '[siems.file]\nkind = "opensearch"\nurl = "https://file.example"\n'
    home = home_of(tmp_path, settled, siems=siems, desks={"twice": twice, "soc": JIRA})

    assert isinstance(home.siem("table"), PostgresSiem)
    assert isinstance(home.siem("file"), OpenSearchSiem)  # the settings say which
    home.kit("table")
    home.close()
    with pytest.raises(ConfigError, match=r"2 blocks are called twice \(opensearch, postgresql\)"):
        home.siem("twice")
    with pytest.raises(ConfigError, match="2 blocks are called twice"):
        _ = home_of(tmp_path, chosen, siems=siems, desks={"twice": twice}).connected


def test_a_siem_that_is_only_a_block_is_unknown_to_commands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no SIEM named 'table'") as caught:
        home_of(tmp_path, "").siem("table")

    assert "blocks" in caught.value.hint


def test_a_desk_that_was_made_as_a_block_takes_tickets_and_cases(tmp_path: Path) -> None:
    text = '[tickets]\ndesk = "soc"\n[cases]\ndesk = "hive"\n'
    unfinished = {"kind": "jira", "token": SECRET}
    home = home_of(tmp_path, text, desks={"soc": JIRA, "hive": HIVE, "spare": unfinished})

    kit = home.kit()
    home.close()

    assert isinstance(kit.tickets, JiraTickets)
    assert isinstance(kit.cases, TheHiveCases)
    assert kit.tickets.name == "soc"


@pytest.mark.parametrize(
    ("desks", "told"),
    [
        ({}, "no desk is called 'soc'"),
        ({"soc": HIVE}, "soc is thehive, which keeps no tickets"),
        ({"soc": {**JIRA, "project": "no key"}}, "desk soc: project"),
    ],
)
def test_a_chosen_desk_that_cannot_take_tickets_is_told_without_its_secret(
    tmp_path: Path, desks: Mapping[str, Any], told: str
) -> None:
    home = home_of(tmp_path, '[tickets]\ndesk = "soc"\n', desks=desks)

    with pytest.raises(ConfigError, match=told) as caught:
        home.kit()
    home.close()

    assert caught.value.hint
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
