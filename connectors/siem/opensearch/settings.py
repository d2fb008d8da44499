"""How an OpenSearch or Elasticsearch cluster is reached, and what a search there may cost."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_FORBIDDEN = frozenset('\\/?"<>| ,#\x00')


class OpenSearchSettings(BaseModel):
    """One cluster that holds Windows events as Winlogbeat or an ECS pipeline writes them."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["opensearch", "elasticsearch"] = Field(
        "opensearch", description="Which of the two it is: they open points in time differently."
    )
    url: str = Field(pattern=r"^https?://[^/@\s]+(/[^@\s]*)?$", description="Its HTTP address.")
    username: str = Field("", description="For basic authentication.")
    password: SecretStr = Field(SecretStr(""), description="For basic authentication.")
    api_key: SecretStr = Field(
        SecretStr(""), description="Encoded API key, instead of a user name."
    )
    ca: Path | None = Field(None, description="CA bundle (PEM) to trust instead of the usual.")
    certificate: Path | None = Field(None, description="Our client certificate (PEM).")
    key: Path | None = Field(None, description="Its private key, unless in the same file.")
    indices: list[str] = Field(
        ["winlogbeat-*"], min_length=1, description="Index patterns of the Windows events."
    )
    channels: dict[str, list[str]] = Field(
        {}, description="Index patterns of single event channels that are kept elsewhere."
    )
    rules_index: str = Field(
        "",
        description="Index that promoted detections are deployed to, switched off; empty: none.",
    )
    page_size: int = Field(2_000, ge=1, le=10_000, description="Events fetched at a time.")
    timeout: float = Field(
        60, gt=0, le=3600, description="Seconds the cluster may work on one request."
    )
    max_examined: int = Field(
        2_000_000,
        ge=1,
        description="Most events read for one search; a search that needs more is refused.",
    )
    requests_a_second: float = Field(
        0, ge=0, description="Most requests a second to the cluster; 0: as many as come."
    )

    @field_validator("indices")
    @classmethod
    def _patterns(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            _check(pattern)
        return patterns

    @field_validator("rules_index")
    @classmethod
    def _one_index(cls, name: str) -> str:
        if name:
            _check(name)
            if "*" in name:
                raise ValueError("the rules are kept in one index: no pattern")
        return name

    @field_validator("channels")
    @classmethod
    def _channel_patterns(cls, channels: dict[str, list[str]]) -> dict[str, list[str]]:
        for patterns in channels.values():
            if not patterns:
                raise ValueError("a channel needs at least one index pattern")
            for pattern in patterns:
                _check(pattern)
        return channels

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.api_key.get_secret_value() and self.username:
            raise ValueError("give an API key or a username, not both")
        if self.key and not self.certificate:
            raise ValueError("a key belongs to a certificate")
        secret = self.api_key.get_secret_value() or self.password.get_secret_value()
        if secret and self.url.startswith("http://") and not _is_local(self.url):
            raise ValueError("a password or key is sent over https only")
        return self


def _check(pattern: str) -> None:
    if (
        not pattern
        or pattern[0] in "-_+."
        or _FORBIDDEN & set(pattern)
        or pattern.lower() != pattern
    ):
        raise ValueError(f"{pattern!r} is no index pattern")


def _is_local(url: str) -> bool:
    host = url.removeprefix("http://").split("/", 1)[0]
    return host.rsplit(":", 1)[0] in {"127.0.0.1", "localhost", "[::1]"}
