"""The stored form of the domain's values: JSON text, the same bytes for the same value."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.entity import Entity, Kind
from huntonce.models.errors import StateError
from huntonce.models.finding import Finding
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.intel import StixDict
from huntonce.models.proposal import Proposal
from huntonce.models.publication import Publication
from huntonce.models.state.columns import clean

T = TypeVar("T")

TYPES: dict[Kind, type[Entity]] = {
    Kind.HYPOTHESIS: Hypothesis,
    Kind.HUNT: HuntRun,
    Kind.GAP: Gap,
    Kind.FINDING: Finding,
    Kind.DETECTION: Detection,
    Kind.CASE: Case,
    Kind.PROPOSAL: Proposal,
    Kind.PUBLICATION: Publication,
}
KEY_LIMIT = 200


_adapters: dict[type[object], TypeAdapter[Any]] = {}


def _adapter(of: type[T]) -> TypeAdapter[T]:
    # Building one takes milliseconds; all are built when first needed, not at import.
    if of not in _adapters:
        _adapters[of] = TypeAdapter(of)
    return _adapters[of]


def encode(value: object, **changes: object) -> str:
    """JSON text of a domain dataclass, with some fields replaced.

    Lone surrogates in its texts become U+FFFD: UTF-8 cannot hold them.

    Raises:
        StateError: It holds something that JSON cannot say (NaN, infinity, bytes not UTF-8).
    """
    try:
        plain: dict[str, object] = _adapter(type(value)).dump_python(value, mode="json")
    except (PydanticSerializationError, ValueError) as error:
        raise StateError(f"{type(value).__name__} cannot be stored: {error}") from error
    return dumps({**plain, **changes})


def decode(of: type[T], text: str) -> T:
    """The value that a text was made of.

    Raises:
        StateError: The text is not such a value: damaged, or from another version of Huntonce.
    """
    try:
        return _adapter(of).validate_python(json.loads(text))
    except (ValidationError, ValueError) as error:
        raise StateError(
            f"a stored {of.__name__} cannot be read: {error}",
            hint="restore the store from a backup, or open it with the version that wrote it",
        ) from error


def dumps(value: object) -> str:
    """JSON text of a JSON-able value, cleaned as in ``encode``.

    Raises:
        StateError: It is not JSON-able.
    """
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_mapping
        )
    except (TypeError, ValueError) as error:
        raise StateError(f"not storable as JSON: {error}") from error
    return clean(text)


def _mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def sha256(text: str | bytes) -> str:
    """Hex SHA-256 of a text (as UTF-8) or of bytes."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def stored_key(key: str) -> str:
    """The key as the unique column holds it: itself, or its hash where an index has no room."""
    key = clean(key)
    return key if len(key) <= KEY_LIMIT else f"sha256:{sha256(key)}"


def stix_content(object_id: str, body: bytes) -> StixDict:
    """What the stored bytes of an intel object say.

    Raises:
        StateError: They are not a JSON object.
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:  # integers beyond 64 bits
        content = json.loads(body)
    if not isinstance(content, dict):
        raise StateError(f"the stored body of {object_id} is not a JSON object")
    return content
