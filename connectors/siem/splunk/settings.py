"""How a Splunk is reached, where its Windows events are, and what a search there may cost."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_NAME = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.:/*-]{0,254}")
_PLACE = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"


class SplunkSettings(BaseModel):
    """One Splunk (9.0.1 or later) that holds Windows events."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["splunk"] = Field("splunk", description="Always this.")
    url: str = Field(
        pattern=r"^https?://[^/@\s?#]+(/[^@\s?#]*)?$",
        description="Its management address (mostly port 8089), not the web page's.",
    )
    token: SecretStr = Field(description="Authentication token of an account that may search.")
    scheme: Literal["Bearer", "Splunk"] = Field(
        "Bearer", description="Bearer for a token, Splunk for a session key."
    )
    ca: Path | None = Field(None, description="CA bundle (PEM) to trust instead of the usual.")
    app: str = Field("search", pattern=_PLACE, description="App in whose context searches run.")
    indexes: list[str] = Field(
        ["wineventlog"], min_length=1, description="Indexes of the Windows events; * is allowed."
    )
    sourcetypes: list[str] = Field(
        ["XmlWinEventLog"], min_length=1, description="Their source types; * is allowed."
    )
    format: Literal["xml", "json"] = Field(
        "xml",
        description="xml: events as Windows renders them (renderXml); json: as Winlogbeat, nxlog or"
        " evtx-rs write them.",
    )
    time_slack: float = Field(
        1,
        ge=0,
        le=3600,
        description="Seconds by which _time may differ from the time that is in the event.",
    )
    host_is_computer: bool = Field(
        default=False,
        description="host is the computer that an event is of, as without event collectors: hosts"
        " are then listed from the index alone.",
    )
    page_size: int = Field(2_000, ge=1, le=50_000, description="Results fetched at a time.")
    job_size: int = Field(
        50_000,
        ge=1,
        le=500_000,
        description="Most events that one search job gives; a window with more is split.",
    )
    timeout: float = Field(
        120, ge=1, le=3600, description="Seconds that Splunk may work on one search job."
    )
    max_examined: int = Field(
        2_000_000,
        ge=1,
        description="Most events read for one search; a search that needs more is refused.",
    )
    requests_a_second: float = Field(
        0, ge=0, description="Most requests a second to Splunk; 0: as many as come."
    )

    rules_index: str = Field(
        "",
        pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})?$",
        description="OWNER/APP (as nobody/search): where promoted detections become saved"
        " searches, disabled; empty: none.",
    )
    rules_minutes: Literal[5, 10, 15, 20, 30, 60] = Field(
        60, description="How often such a search runs once it is enabled."
    )

    @field_validator("indexes", "sourcetypes")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an index or source type")
        return names

    @model_validator(mode="after")
    def _over_tls(self) -> Self:
        if not self.token.get_secret_value().strip():
            raise ValueError("a token is needed")
        if self.url.startswith("http://") and not _is_local(self.url):
            raise ValueError("a token is sent over https only")
        if self.rules_index and self.format != "xml":
            raise ValueError(
                "rules_index needs format xml: the fields of JSON are named as each shipper likes"
            )
        return self


def _is_local(url: str) -> bool:
    host = url.removeprefix("http://").split("/", 1)[0]
    return host.rsplit(":", 1)[0] in {"127.0.0.1", "localhost", "[::1]"}
