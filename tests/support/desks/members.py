"""The remote desks as members of their families' contract suites: each with its stand-in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pytest_httpserver import HTTPServer

from huntonce.connectors.cases.iris import IrisCases
from huntonce.connectors.cases.record import CaseRecord
from huntonce.connectors.cases.thehive import TheHiveCases
from huntonce.connectors.remote.base import DeskConfig, key_tag
from huntonce.connectors.tickets.github import GitHubTickets
from huntonce.connectors.tickets.jira import JiraTickets
from huntonce.connectors.tickets.ticket import Ticket, TicketState
from huntonce.models.case import Determination
from tests.support.desks.github import PLACE, FakeGitHub
from tests.support.desks.iris import FakeIris
from tests.support.desks.jira import FakeJira
from tests.support.desks.server import Fake
from tests.support.desks.thehive import FakeTheHive

TICKET_DESKS = ("github", "jira-cloud", "jira-dc")
CASE_DESKS = ("thehive", "iris")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Basic authentication of Jira Cloud: e-mail and API token.
_CLOUD = "Basic Ym90QGFjbWUuZXhhbXBsZTpzM2NyZXQ="


@dataclass
class RemoteTickets:
    """A ticket desk with its stand-in, and what the stand-in holds."""

    desk: GitHubTickets | JiraTickets
    fake: Fake
    slept: list[float] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.desk.name

    def find(self, key: str) -> str | None:
        return self.desk.find(key)

    def create(self, key: str, gap: Mapping[str, object]) -> str:
        self.keys[key_tag(key)] = key
        return self.desk.create(key, gap)

    def close(self, remote_id: str, comment: str) -> None:
        self.desk.close(remote_id, comment)

    def reopen(self, remote_id: str, comment: str) -> None:
        self.desk.reopen(remote_id, comment)

    def list(self) -> tuple[Ticket, ...]:
        """What the server holds, oldest first."""
        if isinstance(self.fake, FakeGitHub):
            return tuple(self._issue(one, self.fake) for one in self.fake.issues)
        assert isinstance(self.fake, FakeJira)
        return tuple(self._jira(one) for one in self.fake.issues)

    def _issue(self, one: dict[str, Any], fake: FakeGitHub) -> Ticket:
        said = fake.said.get(one["number"], [])
        return Ticket(
            remote_id=f"{PLACE}#{one['number']}",
            key=self.keys[one["body"].rpartition("<!-- ")[2].removesuffix(" -->")],
            state=TicketState(one["state"]),
            gap={"title": one["title"], "text": one["body"]},
            comments=tuple(c["body"] for c in said),
        )

    def _jira(self, one: dict[str, Any]) -> Ticket:
        fields = one["fields"]
        tag = next(label for label in fields["labels"] if label in self.keys)
        done = fields["status"]["statusCategory"]["key"] == "done"
        return Ticket(
            remote_id=one["key"],
            key=self.keys[tag],
            state=TicketState.CLOSED if done else TicketState.OPEN,
            gap={"title": fields["summary"], "text": fields["description"]},
            comments=tuple(c["body"] for c in fields["comment"]["comments"]),
        )


@dataclass
class RemoteCases:
    """A case desk with its stand-in, and what the stand-in holds."""

    desk: TheHiveCases | IrisCases
    fake: Fake
    slept: list[float] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.desk.name

    def find(self, key: str) -> str | None:
        return self.desk.find(key)

    def create(self, key: str, case: Mapping[str, object]) -> str:
        self.keys[key_tag(key)] = key
        return self.desk.create(key, case)

    def closed(self) -> Mapping[str, tuple[Determination, str, datetime]]:
        return self.desk.closed()

    def close(self, remote_id: str, determination: Determination, note: str) -> None:
        self.desk.close(remote_id, determination, note)

    def list(self) -> tuple[CaseRecord, ...]:
        """What the server holds, oldest first."""
        if isinstance(self.fake, FakeTheHive):
            return tuple(
                self._record(one["_id"], one["title"], one["description"],
                             next(tag for tag in one["tags"] if tag in self.keys),
                             closed=one["stage"] == "Closed")
                for one in self.fake.cases
            )  # fmt: skip
        assert isinstance(self.fake, FakeIris)
        return tuple(
            self._record(str(one["case_id"]), one["case_name"].partition(" - ")[2],
                         one["case_description"], one["case_soc_id"],
                         closed=bool(one["close_date"]))
            for one in self.fake.cases
        )  # fmt: skip

    def _record(
        self, remote_id: str, title: str, text: str, tag: str, *, closed: bool
    ) -> CaseRecord:
        return CaseRecord(
            remote_id=remote_id,
            key=self.keys[tag],
            case={"title": title, "text": text},
            determination=Determination.CONFIRMED if closed else None,
            closed_at=NOW if closed else None,
        )


def ticket_member(kind: str, server: HTTPServer, **config: Any) -> RemoteTickets:
    """A ticket desk against a fresh stand-in."""
    slept: list[float] = []
    fake: Fake
    base = DeskConfig(name="remote", kind=kind, url="", token="s3cret", timeout=5.0)
    if kind == "github":
        fake = FakeGitHub(server, "Bearer s3cret")
        made = replace(base, url=fake.url, place=PLACE, **config)
        github = GitHubTickets(made, clock=lambda: NOW, sleep=slept.append)
        return RemoteTickets(github, fake, slept)
    cloud = kind == "jira-cloud"
    fake = FakeJira(server, _CLOUD if cloud else "Bearer s3cret", cloud=cloud)
    email = "bot@acme.example" if cloud else ""
    made = replace(base, url=fake.url, place="SOC", email=email, **config)
    return RemoteTickets(JiraTickets(made, clock=lambda: NOW, sleep=slept.append), fake, slept)


def case_member(kind: str, server: HTTPServer, **config: Any) -> RemoteCases:
    """A case desk against a fresh stand-in."""
    slept: list[float] = []
    base = DeskConfig(name="remote", kind=kind, url="", token="s3cret", timeout=5.0)
    if kind == "thehive":
        hive = FakeTheHive(server, "Bearer s3cret", organisation=config.get("place", ""))
        made = replace(base, url=hive.url, **config)
        return RemoteCases(TheHiveCases(made, clock=lambda: NOW, sleep=slept.append), hive, slept)
    iris = FakeIris(server, "Bearer s3cret")
    made = replace(base, url=iris.url, **config)
    return RemoteCases(IrisCases(made, clock=lambda: NOW, sleep=slept.append), iris, slept)
