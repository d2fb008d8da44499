"""Block types: connectors as operators make and edit them in the Prefect UI.

A block has the fields of the same connector in huntonce.toml, and its name is used like a name
there; a name in the file or the environment wins. The types of SIEMs and desks are made from the
settings of each kind, so a new kind has its form without a line here.

They have no icons: Prefect's client takes http addresses only (a data: address is refused when
a type is read, and no block could be loaded then), and no page of ours fetches from outside.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from types import NoneType, new_class
from typing import Annotated, Any, get_args

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from huntonce.connectors.siem.registry import find_kind, kinds
from huntonce.flows.blockreading import TAXII, desk_kinds, slug_of
from huntonce.flows.connected import told
from huntonce.flows.desksettings import CASE_KINDS, TICKET_KINDS, DeskSettings
from huntonce.models.errors import ConfigError

_NAMES = {
    "opensearch": "OpenSearch",
    "postgresql": "PostgreSQL",
    "sentinel": "Microsoft Sentinel",
    "github": "GitHub",
    "thehive": "TheHive",
    "iris": "IRIS",
}
"""How products write themselves, where it is not their kind with a capital letter."""
_SHORT = {word: word.upper() for word in ("api", "ca", "id", "pap", "tlp", "url")}
"""Words of field names that are written in capitals."""
_EVERY_DESK = ("url", "token", "max_tlp", "labels", "home_url", "ca", "timeout")
_DESK_FIELDS: Mapping[str, tuple[str, ...]] = {
    "jira": ("email", "project", "issue_type", "done", "reopened"),
    "github": ("repository",),
    "thehive": ("organisation", "pap", "determinations"),
    "iris": ("customer", "determinations"),
}
"""What a desk has besides; those of third parties have all that is no other product's."""
_DESK_NEEDS: Mapping[str, frozenset[str]] = {
    "jira": frozenset({"url", "token", "project"}),
    "github": frozenset({"token", "repository"}),
    "thehive": frozenset({"url", "token"}),
    "iris": frozenset({"url", "token"}),
}
"""What the form of a desk demands; the settings leave it to a check of all kinds."""


def _snippet(line: str) -> str:
    """How a block is used, as the pages show it: they take a fenced line of Python."""
    return f"```python\n# {line}\n```"


def taxii_block(section: str, name: str, description: str, usage: str) -> type[Block]:
    """The block type of TAXII collections of a section of the settings (intel, publish)."""
    slug, settings = TAXII[section]
    fields = {name: _field(field) for name, field in settings.model_fields.items()}
    return _block_type(name, slug, settings, fields, description=description, usage=usage)


def siem_block(kind: str, settings: type[BaseModel]) -> type[Block]:
    """The block type of a kind of SIEM, with the fields and checks of its settings."""
    fields = {n: f for n, f in settings.model_fields.items() if n != "kind"}
    words = " ".join((settings.__doc__ or "").split()) or f"A SIEM of kind {kind}."
    return _block_type(
        f"SIEM: {_product(kind)}",
        slug_of("siem", kind),
        settings,
        {name: _field(field) for name, field in fields.items()},
        kind=kind,
        description=f"{words} Huntonce hunts there.",
        usage="prefect deployment run hunt/hunt -p siem=BLOCK_NAME",
    )


def desk_block(kind: str) -> type[Block]:
    """The block type of a kind of desk, with those fields that the product has."""
    others = {name for names in _DESK_FIELDS.values() for name in names}
    rest = [n for n in DeskSettings.model_fields if n not in {"kind", "token_file", *others}]
    needed = _DESK_NEEDS.get(kind, frozenset({"token"}))
    names = (*_EVERY_DESK, *_DESK_FIELDS[kind]) if kind in _DESK_FIELDS else tuple(rest)
    names = tuple(sorted(names, key=lambda name: name not in needed))  # what must be given first
    what = "tickets" if kind in TICKET_KINDS else "cases"
    if kind not in TICKET_KINDS | CASE_KINDS:
        what = "tickets or cases"
    return _block_type(
        f"desk: {_product(kind)}",
        slug_of("desk", kind),
        DeskSettings,
        {n: _field(DeskSettings.model_fields[n], required=n in needed) for n in names},
        kind=kind,
        description=f"A desk where Huntonce opens {what}.",
        usage=f'{what}.desk = "BLOCK_NAME"  # in huntonce.toml',
    )


def _block_type(
    title: str,
    slug: str,
    settings: type[BaseModel],
    fields: Mapping[str, tuple[Any, Any]],
    *,
    kind: str = "",
    description: str,
    usage: str,
) -> type[Block]:
    names = tuple(fields)

    def whole(self: Block) -> Block:
        given = {name: getattr(self, name) for name in names}
        kinded = {"kind": kind} if "kind" in settings.model_fields else {}
        try:
            settings.model_validate({**given, **kinded})
        except ValidationError as error:
            raise ValueError(told(error)) from None
        return self

    body = {
        "__module__": __name__,
        "__doc__": description,
        "__annotations__": {name: annotation for name, (annotation, _) in fields.items()},
        **{name: field for name, (_, field) in fields.items()},
        "_block_type_name": f"Huntonce {title}",
        "_block_type_slug": slug,
        "_description": description,
        "_code_example": _snippet(usage),
        "model_config": ConfigDict(
            hide_input_in_errors=True, field_title_generator=lambda name, _: title_of(name)
        ),
        "whole": model_validator(mode="after")(whole),
    }
    name = "".join(word[:1].upper() + word[1:] for word in re.findall(r"\w+", title))
    return new_class(name, (Block,), {}, lambda namespace: namespace.update(body))


def _product(kind: str) -> str:
    return _NAMES.get(kind, kind.capitalize())


def title_of(name: str) -> str:
    """A field's name as a title: ``max_tlp`` is "Max TLP"."""
    first, *rest = (_SHORT.get(word, word) for word in name.split("_"))
    return " ".join((first[:1].upper() + first[1:], *rest))


def _field(field: FieldInfo, *, required: bool = False) -> tuple[Any, Any]:
    """A field of the settings as a field of a block: annotation with its limits, and default."""
    annotation: Any = _inline(field.annotation)
    for limit in field.metadata:
        annotation = Annotated[annotation, limit]
    if field.default_factory is not None:
        return annotation, Field(
            default_factory=field.default_factory, description=field.description
        )
    default = PydanticUndefined if required else field.default
    return annotation, Field(default, description=field.description)


def _inline(annotation: object) -> object:
    """An enum in its place: as a definition of its own it brings its name and words into forms."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        words = {"type": "string", "enum": [str(member.value) for member in annotation]}
        return Annotated[annotation, WithJsonSchema(words)]
    members = get_args(annotation)
    if NoneType in members and len(members) == 2:  # noqa: PLR2004 - one thing, or none
        only: Any = _inline(next(m for m in members if m is not NoneType))
        return only | None
    return annotation


def _siem_blocks() -> Iterator[type[Block]]:
    for kind in kinds():
        try:
            yield siem_block(kind, find_kind(kind).settings)
        except ConfigError as error:  # a broken package takes no other connector with it
            logging.getLogger(__name__).warning("no block type for the SIEM %s: %s", kind, error)


BLOCKS: tuple[type[Block], ...] = (
    taxii_block(
        "intel",
        "TAXII source",
        "A TAXII 2.1 collection that Huntonce pulls intel from.",
        "prefect deployment run pull-intel/pull-intel -p source=BLOCK_NAME",
    ),
    taxii_block(
        "publish",
        "TAXII destination",
        "A TAXII 2.1 collection that Huntonce publishes to, up to a TLP ceiling.",
        "prefect deployment run publish-intel/publish-intel",
    ),
    *_siem_blocks(),
    *(desk_block(kind) for kind in desk_kinds()),
)
"""Every block type, as they are registered."""
