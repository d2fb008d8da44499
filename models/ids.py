"""Identifiers that are derived from content, so that doing a thing twice names the same thing."""

import hashlib
import json
import uuid
from typing import Any


def digest(*parts: Any) -> str:  # noqa: ANN401 - any JSON value is hashable here
    """Hex SHA-256 over the canonical JSON (sorted keys, no spaces) of the parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def stable_uuid(*parts: Any) -> uuid.UUID:  # noqa: ANN401 - as above
    """A UUID of version 4 *shape* that is a function of the parts.

    The OASIS validator refuses version 5 ids on SDOs and SROs in strict mode, and a random id
    would make a new object of every republication; hence derived bytes under a version 4 mark.
    """
    return uuid.UUID(bytes=bytes.fromhex(digest(*parts))[:16], version=4)


def stix_id(object_type: str, *parts: Any) -> str:  # noqa: ANN401 - as above
    """The STIX id of one of our own objects, a function of its natural key."""
    return f"{object_type}--{stable_uuid(object_type, *parts)}"
