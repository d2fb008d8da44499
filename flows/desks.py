"""Desks by their settings: made here, for the composition root. Imports no Prefect."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huntonce.flows.desksettings import BUILTIN, GROUP, DeskSettings
from huntonce.models.errors import ConfigError

if TYPE_CHECKING:
    from huntonce.connectors.remote.base import DeskConfig
    from huntonce.flows.settings import Settings
    from huntonce.models.ports import CaseDesk, Clock, TicketDesk
    from huntonce.models.state.store import Store

MAX_TOKEN = 16_384


def ticket_desk(settings: "Settings", home: Path, store: "Store", clock: "Clock") -> "TicketDesk":
    """The desk that gaps go to.

    Raises:
        ConfigError: It is not known here, its token cannot be read, or a third party's desk
            cannot be made.
    """
    name = settings.tickets.desk
    if name == BUILTIN:
        from huntonce.connectors.tickets.builtin import BuiltinTickets

        return BuiltinTickets(store)
    part = _chosen("tickets", name, settings)
    config = _config(name, part, settings, home)
    if part.kind == "jira":
        from huntonce.connectors.tickets.jira import JiraTickets

        return JiraTickets(config, clock=clock)
    if part.kind == "github":
        from huntonce.connectors.tickets.github import GitHubTickets

        return GitHubTickets(config, clock=clock)
    made: TicketDesk = _third_party(part.kind, config, ("find", "create", "close", "reopen"))
    return made


def case_desk(settings: "Settings", home: Path, store: "Store", clock: "Clock") -> "CaseDesk":
    """The desk that cases go to.

    Raises:
        ConfigError: As for ``ticket_desk``.
    """
    name = settings.cases.desk
    if name == BUILTIN:
        from huntonce.connectors.cases.builtin import BuiltinCases

        return BuiltinCases(store)
    part = _chosen("cases", name, settings)
    config = _config(name, part, settings, home)
    if part.kind == "thehive":
        from huntonce.connectors.cases.thehive import TheHiveCases

        return TheHiveCases(config, clock=clock)
    if part.kind == "iris":
        from huntonce.connectors.cases.iris import IrisCases

        return IrisCases(config, clock=clock)
    made: CaseDesk = _third_party(part.kind, config, ("find", "create", "closed", "close"))
    return made


def _chosen(family: str, name: str, settings: "Settings") -> DeskSettings:
    part = settings.desks.get(name)
    if part is None:
        known = ", ".join([BUILTIN, *sorted(settings.desks)])
        raise ConfigError(
            f"{family}.desk: no desk is called {name!r}; known: {known}",
            hint=f"add [desks.{name}] to the settings (commands do not read Prefect's blocks, "
            "flows do)",
        )
    return part


def _third_party(kind: str, config: "DeskConfig", needs: tuple[str, ...]) -> Any:  # noqa: ANN401 - somebody else's
    for point in entry_points(group=GROUP, name=kind):
        try:
            made = point.load()(config)
        except Exception as error:
            raise ConfigError(
                f"desks.{config.name}: the desk {point.value} cannot be made: {error}",
                hint="ask those who wrote it, or choose another desk",
            ) from error
        missing = [need for need in needs if not callable(getattr(made, need, None))]
        if missing:
            raise ConfigError(
                f"desks.{config.name}: {point.value} has no {', '.join(missing)}",
                hint="docs/guides/desks.md says what a desk must be able to do",
            )
        return made
    raise ConfigError(f"desks.{config.name}: no desk of the kind {kind!r} is installed")


def _config(name: str, part: DeskSettings, settings: "Settings", home: Path) -> "DeskConfig":
    from huntonce.connectors.remote.base import DeskConfig

    url = part.url or ("https://api.github.com" if part.kind == "github" else "")
    return DeskConfig(
        name=name,
        kind=part.kind,
        url=url,
        token=_token(name, part, home),
        email=part.email,
        place=part.project or part.repository or part.organisation,
        customer=part.customer,
        issue_type=part.issue_type,
        done=part.done,
        reopened=part.reopened,
        labels=tuple(part.labels),
        max_tlp=part.max_tlp,
        default_tlp=settings.policy.default_tlp,
        pap=part.pap,
        home=part.home_url,
        determinations=part.determinations,
        verify=str(_inside(home, part.ca)) if part.ca else True,
        timeout=part.timeout,
        options=part.options,
    )


def _token(name: str, part: DeskSettings, home: Path) -> str:
    token = part.token.get_secret_value()
    if part.token_file is not None:
        path = _inside(home, part.token_file)
        try:
            with path.open(encoding="utf-8") as file:
                token = file.read(MAX_TOKEN).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"desks.{name}.token_file: {path} cannot be read",
                hint="see that it is there and may be read",
            ) from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"desks.{name}: the token is empty or has characters that no token has",
            hint="it is one line without spaces",
        )
    return token


def _inside(home: Path, path: Path) -> Path:
    return path if path.is_absolute() else home / path
