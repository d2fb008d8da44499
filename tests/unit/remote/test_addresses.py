"""Links to tickets and cases: to pages of the configured desk only, whatever an id is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from huntonce.connectors.cases.iris import IrisCases
from huntonce.connectors.cases.memory import MemoryCases
from huntonce.connectors.cases.thehive import TheHiveCases
from huntonce.connectors.remote.base import DeskConfig
from huntonce.connectors.tickets.github import GitHubTickets
from huntonce.connectors.tickets.jira import JiraTickets
from huntonce.connectors.tickets.memory import MemoryTickets
from huntonce.models.report.addresses import address_at
from huntonce.models.report.markdown import Linked, table

URL = "https://desk.example:8443/soc"
HOSTILE = [
    "https://evil.example/",
    "//evil.example",
    "javascript:alert(1)",
    "../../evil",
    "SOC-1/../../x",
    "SOC-1) [x](https://evil.example",
    "SOC-1\nhttps://evil.example",
    "acme/soc#1?x=https://evil.example",
    "acme/other#1",
    "EVIL-1",
    "~1/../../x",
    "~\u0661",
    "1&x=2",
    "<img src=x>",
    "",
]


def desk(made: Any, kind: str, url: str = URL, place: str = "") -> Any:
    return made(DeskConfig(name="soc", kind=kind, url=url, token="t", place=place))


def every_desk() -> list[Any]:
    return [
        desk(JiraTickets, "jira", place="SOC"),
        desk(GitHubTickets, "github", "https://api.github.com", "acme/soc"),
        desk(TheHiveCases, "thehive"),
        desk(IrisCases, "iris"),
    ]


@pytest.mark.parametrize(
    ("made", "remote_id", "address"),
    [
        (desk(JiraTickets, "jira", place="SOC"), "SOC-12", f"{URL}/browse/SOC-12"),
        (desk(TheHiveCases, "thehive"), "~4128", f"{URL}/cases/~4128/details"),
        (desk(IrisCases, "iris"), "7", f"{URL}/case?cid=7"),
    ],
)
def test_an_id_of_the_desk_leads_to_its_page(made: Any, remote_id: str, address: str) -> None:
    assert address_at(made, remote_id) == address


@pytest.mark.parametrize(
    ("api", "pages"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("https://git.acme.example/api/v3", "https://git.acme.example"),
        ("https://git.acme.example/proxy", ""),
    ],
)
def test_githubs_pages_are_not_below_its_api(api: str, pages: str) -> None:
    made = desk(GitHubTickets, "github", api, "acme/soc")

    assert address_at(made, "acme/soc#3") == (pages and f"{pages}/acme/soc/issues/3")


@given(remote_id=st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40)))
def test_an_id_from_data_makes_no_link_to_anywhere_else(remote_id: str) -> None:
    for made in every_desk():
        address = address_at(made, remote_id)
        assert not address or address.startswith((f"{URL}/", "https://github.com/acme/soc/issues/"))
        page = table(("ticket",), [(Linked(remote_id, address),)])
        parsed = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
        inline = [child for token in parsed for child in token.children or ()]
        links = [t.attrGet("href") for t in inline if t.type == "link_open"]
        assert links == [address] * bool(address)
        assert not {"image", "html_inline"} & {t.type for t in inline}


@pytest.mark.parametrize("remote_id", HOSTILE)
def test_a_hostile_id_is_no_page_of_any_desk(remote_id: str) -> None:
    assert [address_at(made, remote_id) for made in every_desk()] == [""] * 4


def test_desks_of_ours_have_no_pages() -> None:
    assert address_at(MemoryTickets(), "T-1") == ""
    assert address_at(MemoryCases(), "C-1") == ""


class Theirs:
    """A third party's desk that believes what it is told."""

    base = "https://desk.example"

    def page_of(self, remote_id: str) -> str:
        return remote_id


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("https://desk.example/t/1", "https://desk.example/t/1"),
        ("https://desk.example.evil.example/t/1", ""),
        ("https://desk.example@evil.example/", ""),
        ("https://desk.example/%2e%2E/x", ""),
        ("http://desk.example/t/1", ""),
    ],
)
def test_a_third_partys_pages_are_below_its_own_address(told: str, address: str) -> None:
    assert address_at(Theirs(), told) == address


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://x.example/a b", "https://x.example/)[y](z", "", "x"]
)
def test_what_is_plainly_no_address_is_shown_as_text(address: str) -> None:
    assert Linked("T-1", address).markdown == r"T\-1"
