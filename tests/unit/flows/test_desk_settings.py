"""Desks in the settings: checked when they are read, secrets from the environment or a file."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.cases.iris import IrisCases
from huntonce.connectors.cases.thehive import TheHiveCases
from huntonce.connectors.remote.base import DeskConfig
from huntonce.connectors.tickets.github import GitHubTickets
from huntonce.connectors.tickets.jira import JiraTickets
from huntonce.connectors.tickets.memory import MemoryTickets
from huntonce.flows import desks, desksettings
from huntonce.flows.bootstrap import Home
from huntonce.flows.desksettings import BUILTIN
from huntonce.flows.meaning import policy_of
from huntonce.flows.settings import FILE, load_settings
from huntonce.models.approval import OURS
from huntonce.models.case import Determination
from huntonce.models.errors import ConfigError
from huntonce.models.tlp import Tlp

JIRA = '[desks.soc]\nkind = "jira"\nurl = "https://acme.example/"\nproject = "SOC"\n'
HIVE = '[desks.hive]\nkind = "thehive"\nurl = "https://hive.example"\n'
SECRET = "hunter2-never-shown"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 - only to see what is set

    for name in list(os.environ):
        if name.upper().startswith("HUNTONCE_"):
            monkeypatch.delenv(name)


def write(home: Path, text: str) -> Path:
    (home / FILE).write_text(text, encoding="utf-8")
    return home


def fault(home: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(home, text))
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_token_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTONCE_DESKS__SOC__TOKEN", SECRET)
    home = Home(path=write(tmp_path, JIRA + '[tickets]\ndesk = "soc"\n'))

    kit = home.kit()
    home.close()

    assert isinstance(kit.tickets, JiraTickets)
    assert kit.tickets._config.token == SECRET
    assert kit.tickets._config.url == "https://acme.example"
    assert SECRET not in repr(home.settings)


def test_a_token_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    text = (
        HIVE + 'token_file = "key"\ndeterminations = {Other = "blocked"}\n[cases]\ndesk = "hive"\n'
    )
    home = Home(path=write(tmp_path, text))

    kit = home.kit()
    home.close()

    assert isinstance(kit.cases, TheHiveCases)
    assert kit.cases._config.token == SECRET
    assert kit.cases._config.max_tlp is Tlp.AMBER_STRICT
    assert kit.cases._config.determinations == {"Other": Determination.BLOCKED}


@pytest.mark.parametrize("content", [None, "", "two words", "a\x1bb"])
def test_a_token_file_that_is_none_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    home = Home(path=write(tmp_path, HIVE + 'token_file = "key"\n[cases]\ndesk = "hive"\n'))

    with pytest.raises(ConfigError, match=r"desks\.hive"):
        home.kit()
    home.close()


def test_every_kind_is_made(tmp_path: Path) -> None:
    text = """
[desks.hub]
kind = "github"
token = "t"
repository = "acme/hunting"
[desks.iris]
kind = "iris"
token = "t"
url = "https://iris.example"
customer = 3
[tickets]
desk = "hub"
[cases]
desk = "iris"
"""
    home = Home(path=write(tmp_path, text))
    kit = home.kit()
    home.close()

    assert isinstance(kit.tickets, GitHubTickets)
    assert kit.tickets._config.url == "https://api.github.com"
    assert isinstance(kit.cases, IrisCases)
    assert kit.cases._config.customer == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (JIRA, "token"),
        (JIRA + f'token = "{SECRET}"\ntoken_file = "x"\n', "token"),
        ('[desks.soc]\nkind = "jira"\nurl = "https://x"\ntoken = "t"\n', "project"),
        (JIRA.replace("SOC", 'S\\" OR 1=1') + 'token = "t"\n', "project"),
        ('[desks.hub]\nkind = "github"\ntoken = "t"\nrepository = "a/../b"\n', "repository"),
        ('[desks.i]\nkind = "iris"\ntoken = "t"\n', "url"),
        ('[desks.i]\nkind = "iris"\ntoken = "t"\nurl = "http://iris.example"\n', "https"),
        ('[desks.i]\nkind = "iris"\ntoken = "t"\nurl = "https://u:p@iris.example"\n', "url"),
        ('[desks.i]\nkind = "clippy"\ntoken = "t"\n', "kind"),
        (HIVE + 'token = "t"\nlabels = ["two words"]\n', "label"),
        (HIVE + 'token = "t"\nhome_url = "https://x/>"\n', "home_url"),
        (HIVE + 'token = "t"\nmax_tlp = "purple"\n', "max_tlp"),
        (HIVE + 'token = "t"\n[tickets]\ndesk = "hive"\n', "keeps no tickets"),
    ],
)
def test_what_is_wrong_is_told_when_the_file_is_read(tmp_path: Path, text: str, told: str) -> None:
    assert told in fault(tmp_path, text)


def test_what_leaves_for_another_system_is_asked_for_unless_decided(tmp_path: Path) -> None:
    token = 'token = "t"\n'
    chosen = JIRA + token + '[tickets]\ndesk = "soc"\n'
    rule = policy_of(load_settings(write(tmp_path, chosen))).rule("open_ticket")
    assert rule.asks(1, outside="soc" not in OURS)
    assert not rule.asks(1, outside=BUILTIN not in OURS)
    decided = load_settings(write(tmp_path, chosen + '[policy]\nopen_ticket = "auto"\n'))
    assert not policy_of(decided).rule("open_ticket").asks(1, outside=True)


def test_a_third_party_brings_a_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DeskConfig] = []

    def load(config: DeskConfig) -> object:
        made.append(config)
        return MemoryTickets(config.name) if config.options else SimpleNamespace(find=print)

    class Point:
        name, value = "clippy", "clippy_desk:make"

        @staticmethod
        def load() -> object:
            return load

    def points(*, group: str, name: str = "clippy") -> list[EntryPoint | Point]:
        return [Point()] if (group, name) == ("huntonce.desks", "clippy") else []

    monkeypatch.setattr(desks, "entry_points", points)
    monkeypatch.setattr(desksettings, "entry_points", points)
    text = '[desks.own]\nkind = "clippy"\ntoken = "t"\n'
    good = write(tmp_path, text + 'options = {queue = "SOC"}\n[tickets]\ndesk = "own"\n')
    home = Home(path=good)
    assert home.kit().tickets.name == "own"
    home.close()
    assert made[0].options == {"queue": "SOC"}

    home = Home(path=write(tmp_path, text + '[tickets]\ndesk = "own"\n'))
    with pytest.raises(ConfigError, match="has no create, close, reopen"):
        home.kit()
    home.close()


def run(home: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*words, "--home", str(home)])
    return done.exit_code, done.output


def test_the_commands_show_the_desks_and_say_which_cannot_be_asked(tmp_path: Path) -> None:
    text = JIRA.replace("https://acme.example/", "http://127.0.0.1:9") + 'token = "t"\n'
    write(tmp_path, text + '[tickets]\ndesk = "soc"\n')

    code, shown = run(tmp_path, "desks")
    assert (code, "soc" in shown, "tickets" in shown) == (0, True, True)

    code, shown = run(tmp_path, "desks", "check", "--json")
    assert code == 4
    by_name = {one["desk"]: one["error"] for one in json.loads(shown)["desks"]}
    assert "no connection" in by_name["soc"]
    assert by_name["builtin"] == ""

    code, shown = run(tmp_path, "desks", "sync")
    assert (code, "Nothing new." in shown) == (0, True)  # no gap has a ticket there yet
