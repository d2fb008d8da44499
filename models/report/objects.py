"""STIX objects in a few words, for those who decide whether they may leave."""

from collections.abc import Iterable, Mapping

from huntonce.models.feedback.stixtext import read_object, texts
from huntonce.models.publication import Publication

_SAYING = (
    *("name", "value", "command_line", "key", "account_login", "user_id", "path", "abstract"),
    *("opinion", "content", "description", "context"),
)
_LONGEST, _SHORT = 200, 60


def labels(publications: Iterable[Publication]) -> dict[str, str]:
    """What each published object is, by its id."""
    return {p.object_id: _label(read_object(p.body)) for p in publications}


def described(publication: Publication, known: Mapping[str, str]) -> str:
    """What an object says; ``known`` names the objects that it may speak of."""
    content = read_object(publication.body)
    match publication.object_type:
        case "relationship":
            ends = [str(content.get(end, "")) for end in ("source_ref", "target_ref")]
            source, target = (_short(end, known) for end in ends)
            text = f"{source} {content.get('relationship_type')} {target}"
        case "sighting":
            about = str(content.get("sighting_of_ref", ""))
            text = f"{_short(about, known)} seen {content.get('count', 1)} times"
        case "report" | "grouping" | "note" | "opinion" | "observed-data":
            count = len(texts(content.get("object_refs")))
            text = f"{_label(content)} ({count} object{'' if count == 1 else 's'})"
        case _:
            text = _label(content)
    return f"withdrawn: {text}" if content.get("revoked") is True else text


def _short(object_id: str, known: Mapping[str, str]) -> str:
    """An object at the end of a relationship: its label, else its type."""
    text = known.get(object_id) or object_id.partition("--")[0]
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _label(content: Mapping[str, object]) -> str:
    said = next((str(content[key]) for key in _SAYING if content.get(key)), "")
    hashes = content.get("hashes")
    if not said and isinstance(hashes, Mapping) and hashes:
        said = str(next(iter(hashes.values())))
    said = " ".join(said.split())
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
