"""How a Sentinel workspace is reached, which tables it has, and what a search may cost."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_GUID = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_ADDRESS = r"^https?://[A-Za-z0-9.\[\]:-]+$"

Table = Literal["SecurityEvent", "WindowsEvent", "Event"]


class SentinelSettings(BaseModel):
    """One Log Analytics workspace with Microsoft Sentinel that holds Windows events."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["sentinel"] = Field("sentinel", description="Always this.")
    tenant: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$",
        description="Microsoft Entra tenant: its id or domain.",
    )
    client_id: str = Field(pattern=_GUID, description="Id of the app registration that asks.")
    client_secret: SecretStr = Field(description="Its secret.")
    workspace_id: str = Field(pattern=_GUID, description="Id of the workspace (a GUID).")
    tables: list[Table] = Field(
        ["SecurityEvent", "WindowsEvent", "Event"],
        min_length=1,
        description="Tables that hold Windows events; each must be there, and readable.",
    )
    rules_index: str = Field(
        "",
        description="/subscriptions/ID/resourceGroups/NAME/workspaces/NAME: the workspace that"
        " promoted detections are deployed to as scheduled rules, switched off; empty: none.",
        pattern=r"^(/subscriptions/[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
        r"/resourceGroups/[\w.()-]{1,90}/workspaces/[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9])?$",
    )
    rules_minutes: int = Field(
        60, ge=5, le=1_440, description="How often a deployed rule runs once it is switched on."
    )
    login_url: str = Field(
        "https://login.microsoftonline.com", pattern=_ADDRESS, description="Where tokens are got."
    )
    query_url: str = Field(
        "https://api.loganalytics.azure.com", pattern=_ADDRESS, description="The query API."
    )
    query_scope: str = Field(
        "https://api.loganalytics.io/.default",
        pattern=r"^https://[!-~]+/\.default$",
        description="What a token for the query API is asked for.",
    )
    management_url: str = Field(
        "https://management.azure.com", pattern=_ADDRESS, description="The management API."
    )
    management_scope: str = Field(
        "https://management.azure.com/.default",
        pattern=r"^https://[!-~]+/\.default$",
        description="What a token for the management API is asked for.",
    )
    ca: Path | None = Field(None, description="CA bundle (PEM) to trust instead of the usual.")
    page_size: int = Field(
        10_000, ge=1, le=500_000, description="Events fetched at a time; the service's most is"
        " 500,000.",
    )  # fmt: skip
    timeout: float = Field(
        180, ge=1, le=600, description="Seconds the service may work on one query; its most is 600."
    )
    max_examined: int = Field(
        2_000_000,
        ge=1,
        description="Most events read for one search; a search that needs more is refused.",
    )
    requests_a_second: float = Field(
        5, ge=0, description="Most requests a second; the service takes 200 in 30 s."
    )

    @field_validator("tables")
    @classmethod
    def _once(cls, tables: list[Table]) -> list[Table]:
        return list(dict.fromkeys(tables))

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if not self.client_secret.get_secret_value().strip():
            raise ValueError("a client secret is needed")
        for url in (self.login_url, self.query_url, self.management_url):
            if url.startswith("http://") and not _is_local(url):
                raise ValueError("secrets and tokens are sent over https only")
        return self


def _is_local(url: str) -> bool:
    host = url.removeprefix("http://")
    return host.rsplit(":", 1)[0] in {"127.0.0.1", "localhost", "[::1]"}
