"""Reading blocks: the connectors that operators made on Prefect's Blocks page, as flows use them.

Loads no connector: a run pays for those that it uses.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from prefect.client.orchestration import get_client
from pydantic import BaseModel, ValidationError

from huntonce.connectors.siem.registry import kinds
from huntonce.flows.connected import Namesakes, told
from huntonce.flows.desksettings import CASE_KINDS, TICKET_KINDS, third_parties
from huntonce.flows.settings import DestinationSettings, TaxiiSettings
from huntonce.models.errors import ConfigError

MOST = 200
"""Blocks of one section that are read; Prefect gives no more at a time."""
TAXII: Mapping[str, tuple[str, type[BaseModel]]] = {
    "intel": ("huntonce-taxii-source", TaxiiSettings),
    "publish": ("huntonce-taxii-destination", DestinationSettings),
}
"""Section of huntonce.toml to the block type that says the same, and its settings."""


def slug_of(family: str, kind: str) -> str:
    """Name of a kind's block type in addresses: ``huntonce-siem-opensearch``."""
    return f"huntonce-{family}-{re.sub('[^a-z0-9]+', '-', kind.lower())}"


def desk_kinds() -> tuple[str, ...]:
    """Kinds of desk that are known here, sorted."""
    return tuple(sorted(TICKET_KINDS | CASE_KINDS | third_parties()))


def connectors_of(section: str) -> dict[str, Any]:
    """The connectors that operators made as blocks, by name, for one section of the settings.

    Those of ``intel`` and ``publish`` are read and checked; SIEMs and desks are as the file would
    have them, and are checked when one is used; where blocks of several kinds have one name, that
    name stands for none of them (``Namesakes``).

    Raises:
        ConfigError: A block of these was saved with values that its connector does not take.
    """
    if section in TAXII:
        slug, settings = TAXII[section]
        return {name: _checked(settings, name, data) for name, _, data in _saved((slug,))}
    family = {"siems": "siem", "desks": "desk"}.get(section)
    if family is None:
        return {}
    known = kinds() if family == "siem" else desk_kinds()
    by_slug = {slug_of(family, kind): kind for kind in known}
    found: dict[str, Any] = {}
    for name, slug, data in _saved(tuple(by_slug)):
        given = {key: value for key, value in data.items() if value is not None}
        same = found.get(name)
        if same is None:
            found[name] = {**given, "kind": by_slug[slug]}
        else:
            kinds_of = same.kinds if isinstance(same, Namesakes) else (same["kind"],)
            found[name] = Namesakes(name, (*kinds_of, by_slug[slug]))
    return found


def _saved(slugs: tuple[str, ...]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, type and values of the blocks of some types; a type nobody registered has none."""
    asked = {
        "block_types": {"slug": {"any_": slugs}},
        "include_secrets": True,
        "limit": MOST,
    }
    with get_client(sync_client=True) as client:
        documents = client.request("POST", "/block_documents/filter", json=asked).json()
    for document in documents:
        if document["name"] is not None:
            yield document["name"], document["block_type"]["slug"], document["data"]


def _checked(settings: type[BaseModel], name: str, data: Mapping[str, Any]) -> BaseModel:
    try:
        return settings.model_validate(dict(data))
    except ValidationError as error:
        raise ConfigError(
            f"block {name}: {told(error)}",
            hint="mend the block on the Blocks page",
        ) from None  # the cause repeats the values, and one of them may be a secret
