"""Blocks: connectors as operators make and edit them in the Prefect UI.

A block has the fields of the same connector in huntonce.toml, and its name is used like a name
there; a name in the file wins. Icons are left out: Prefect takes them from web addresses only,
and no page of ours fetches anything from outside.
"""

from collections.abc import Mapping
from http import HTTPStatus

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from pydantic import BaseModel, ValidationError

from huntonce.flows.settings import DestinationSettings, TaxiiSettings
from huntonce.models.errors import ConfigError

MOST = 200
"""Blocks of one type that are read."""


class TaxiiSource(Block, TaxiiSettings):
    """A TAXII 2.1 collection that intel is pulled from (pull-intel, loop)."""

    _block_type_name = "Huntonce TAXII source"
    _block_type_slug = "huntonce-taxii-source"
    _description = "A TAXII 2.1 collection that Huntonce pulls intel from."


class TaxiiDestination(Block, DestinationSettings):
    """A TAXII 2.1 collection that our intel goes to, up to its TLP ceiling (publish-intel)."""

    _block_type_name = "Huntonce TAXII destination"
    _block_type_slug = "huntonce-taxii-destination"
    _description = "A TAXII 2.1 collection that Huntonce publishes to, up to a TLP ceiling."


SECTIONS: Mapping[str, type[Block]] = {"intel": TaxiiSource, "publish": TaxiiDestination}
"""Section of huntonce.toml to the block type that says the same."""
BLOCKS = tuple(SECTIONS.values())


def connectors_of(section: str) -> dict[str, BaseModel]:
    """The connectors that operators made as blocks, by name, for one section of the settings.

    Raises:
        ConfigError: A block was saved with values that its connector does not take.
    """
    kind = SECTIONS.get(section)
    if kind is None:
        return {}
    with get_client(sync_client=True) as client:
        try:
            documents = client.read_block_documents_by_type(kind.get_block_type_slug(), limit=MOST)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            return {}  # the type was never registered on this server
    found: dict[str, BaseModel] = {}
    for document in documents:
        if document.name is None:
            continue
        try:
            found[document.name] = kind.model_validate(document.data)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"block {document.name}: {place}: {first['msg']}".replace(": :", ":"),
                hint="mend the block on the Blocks page",
            ) from None  # the cause repeats the values, and one of them may be a secret
    return found
