"""Objects that hold pseudonyms are another object for every destination.

The pseudonyms of two destinations differ, and one version of one object must not have two
contents. What holds one, and whatever points at that, gets an id of its own for the destination;
the rest (rules, techniques, names of malware) is the same object everywhere.
"""

from collections.abc import Sequence

from huntonce.models.feedback.mask import has_pseudonym
from huntonce.models.feedback.stixtext import (
    SCO_TYPES,
    leaves,
    read_object,
    refs,
    renamed,
    write_object,
)
from huntonce.models.ids import stix_id


def scoped(bodies: Sequence[str], destination: str) -> tuple[str, ...]:
    """The objects with ids of the destination's own where their content is its own.

    Observables keep theirs: their ids are made of their content.
    """
    contents = [read_object(body) for body in bodies]
    own = {
        str(one["id"]) for one in contents if any(has_pseudonym(text) for _, text in leaves(one))
    }
    grown = True
    while grown:
        fresh = {
            str(one["id"])
            for one in contents
            if str(one["id"]) not in own and any(ref in own for _, ref in refs(one))
        }
        own |= fresh
        grown = bool(fresh)
    names = {
        str(one["id"]): stix_id(str(one["type"]), one["id"], destination)
        for one in contents
        if str(one["id"]) in own and one["type"] not in SCO_TYPES
    }
    written = []
    for body, content in zip(bodies, contents, strict=True):
        new = renamed(content, names)
        written.append(body if new is content else write_object(new))
    return tuple(written)
