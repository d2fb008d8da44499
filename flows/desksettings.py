"""Settings of desks: where gaps become tickets, and evil becomes a case."""

import re
from importlib.metadata import entry_points
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from huntonce.models.case import Determination
from huntonce.models.tlp import Tlp

BUILTIN = "builtin"
GROUP = "huntonce.desks"
"""Entry points of third parties' desks: kind to a callable that makes one."""
TICKET_KINDS = frozenset({"jira", "github"})
CASE_KINDS = frozenset({"thehive", "iris"})


class DeskSettings(BaseModel):
    """A desk of another product."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: str = Field(description="jira, github, thehive, iris, or a third party's.")
    url: str = Field(
        "", description="Address of the product; for GitHub its API (default: github.com's)."
    )
    token: SecretStr = Field(
        SecretStr(""), description="API token, personal access token or API key."
    )
    token_file: Path | None = Field(None, description="Or a file that holds the token.")
    email: str = Field("", description="Jira Cloud: the account of the token; empty: Data Center.")
    project: str = Field("", description="Jira: key of the project.")
    repository: str = Field("", description="GitHub: owner/name of a private repository.")
    organisation: str = Field("", description="TheHive: the organisation, if not the account's.")
    customer: int = Field(1, ge=1, description="IRIS: id of the customer that cases belong to.")
    issue_type: str = Field("Task", min_length=1, description="Jira: type of the issues.")
    done: str = Field("", description="Jira: status of a closed ticket; empty: any done one.")
    reopened: str = Field("", description="Jira: status of a reopened one; empty: a to-do one.")
    labels: list[str] = Field([], description="More labels or tags on all that is opened.")
    max_tlp: Tlp = Field(Tlp.AMBER_STRICT, description="The most closed marking that may go there.")
    pap: Literal["clear", "green", "amber", "red"] = Field(
        "amber", description="TheHive: Permissible Actions Protocol of cases."
    )
    home_url: str = Field("", description="Where people find our report, for the link back.")
    determinations: dict[str, Determination] = Field(
        {}, description="Words that a case is closed with there, and what they stand for."
    )
    ca: Path | None = Field(None, description="CA bundle (PEM) to trust instead of the usual.")
    timeout: float = Field(30, gt=0, le=600, description="Seconds to wait for an answer.")
    options: dict[str, str] = Field({}, description="What only a third party's desk knows.")

    @field_validator("url", "home_url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ValueError("an address is https://host, without a user name in it")
        if not re.fullmatch(r"[!#-;=?-Z_a-z~%]+", url):
            raise ValueError("an address has no spaces, quotes or brackets")
        return url.rstrip("/")

    @field_validator("labels")
    @classmethod
    def _plain(cls, labels: list[str]) -> list[str]:
        for label in labels:
            if not re.fullmatch(r"[^\s,\"']{1,50}", label):
                raise ValueError("a label has up to 50 characters, no space, comma or quote")
        return labels

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.url.startswith("http://") and not _is_loopback(self.url):
            raise ValueError("url: http would show the token to the network; use https")
        if bool(self.token.get_secret_value()) == bool(self.token_file):
            raise ValueError("give either token (best by the environment) or token_file")
        if self.kind == "jira" and not re.fullmatch(r"[A-Z][A-Z0-9_]{1,99}", self.project):
            raise ValueError("project: Jira needs the key of a project, for example SOC")
        if self.kind == "github" and not re.fullmatch(
            r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", self.repository
        ):
            raise ValueError("repository: GitHub needs owner/name")
        if self.kind in {"jira", "thehive", "iris"} and not self.url:
            raise ValueError(f"url: {self.kind} needs the address of the product")
        if self.kind not in TICKET_KINDS | CASE_KINDS | third_parties():
            known = ", ".join(sorted(TICKET_KINDS | CASE_KINDS | third_parties()))
            raise ValueError(f"kind: no desk of that kind; known: {known}")
        return self


class DeskChoice(BaseModel):
    """Which desk is used."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    desk: str = Field(BUILTIN, description="Name under desks, or builtin.")


def third_parties() -> frozenset[str]:
    """Kinds of desk that other packages bring."""
    return frozenset(point.name for point in entry_points(group=GROUP))


def check_choice(
    family: Literal["tickets", "cases"], choice: DeskChoice, desks: dict[str, DeskSettings]
) -> None:
    """Check that a chosen desk, where it is among these, is of the right sort.

    One that is not may be a block; whoever opens it says so where it is none.

    Raises:
        ValueError: It is not.
    """
    part = desks.get(choice.desk)
    if choice.desk == BUILTIN or part is None:
        return
    other = CASE_KINDS if family == "tickets" else TICKET_KINDS
    if part.kind in other:
        raise ValueError(f"{family}.desk: {choice.desk} is {part.kind}, which keeps no {family}")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
