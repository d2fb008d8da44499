"""Media types of TAXII 2.1 and what a client may ask for (section 1.6.8)."""

TAXII = "application/taxii+json;version=2.1"
STIX = "application/stix+json;version=2.1"
_TYPE, _VERSION = "application/taxii+json", "2.1"


def acceptable(accept: str | None) -> bool:
    """Whether an Accept header allows a TAXII 2.1 answer; none at all allows anything."""
    if not accept:
        return True
    return any(_allows(part) for part in accept.split(","))


def is_taxii(content_type: str | None) -> bool:
    """Whether a Content-Type is TAXII 2.1, with the version or without."""
    name, options = _split(content_type or "")
    return name == _TYPE and options.get("version", _VERSION) == _VERSION


def _allows(part: str) -> bool:
    name, options = _split(part)
    if options.get("q", "1").strip("0.") == "" and options.get("q") is not None:
        return False
    if name in {"*/*", "application/*"}:
        return True
    return name == _TYPE and options.get("version", _VERSION) == _VERSION


def _split(value: str) -> tuple[str, dict[str, str]]:
    name, *rest = (piece.strip() for piece in value.split(";"))
    options = {}
    for piece in rest:
        key, _, text = piece.partition("=")
        options[key.strip().casefold()] = text.strip().strip('"')
    return name.casefold(), options
