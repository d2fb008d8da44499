"""Writing STIX 2.1 objects of one organisation.

Ids are functions of natural keys and every time is given, so that the same thing written twice is
the same bytes, also after the store was lost.
"""

from dataclasses import dataclass, field

import orjson

from huntonce.models.feedback import TechniqueRef
from huntonce.models.ids import stix_id
from huntonce.models.tlp import Tlp, marking_definition

# Identity and techniques are the same object in every case: their time must not be a case's.
_FIXED = "2024-01-01T00:00:00.000Z"
Stix = dict[str, object]


@dataclass(slots=True)
class Pen:
    """Writes objects of one organisation, one time and, unless said otherwise, one level.

    Attributes:
        created: Time that objects were first written.
        modified: Time of this version.
    """

    organisation: str
    created: str
    tlp: Tlp
    modified: str = ""
    objects: dict[str, Stix] = field(default_factory=dict)
    levels: set[Tlp] = field(default_factory=set)

    @property
    def identity(self) -> str:
        """Our own id; the object is written on first use."""
        name = stix_id("identity", self.organisation)
        self._put(
            {
                "type": "identity",
                "spec_version": "2.1",
                "id": name,
                "created_by_ref": name,
                "created": _FIXED,
                "modified": _FIXED,
                "name": self.organisation,
                "identity_class": "organization",
            },
            Tlp.CLEAR,
        )
        return name

    def technique(self, ref: TechniqueRef) -> str:
        """Id of the attack-pattern: the one that intel already had, else our own."""
        if ref.stix_id:
            return ref.stix_id
        own = self.identity
        name = stix_id("attack-pattern", self.organisation, ref.id)
        # Told by its ATT&CK id alone; a name that may change must not change the object.
        self._put(
            {
                "type": "attack-pattern",
                "spec_version": "2.1",
                "id": name,
                "created_by_ref": own,
                "created": _FIXED,
                "modified": _FIXED,
                "name": ref.id,
                "external_references": [technique_reference(ref.id)],
            },
            Tlp.CLEAR,
        )
        return name

    def sdo(self, kind: str, key: object, tlp: Tlp | None = None, /, **properties: object) -> str:
        """Write an object of ours; returns its id."""
        own = self.identity
        name = stix_id(kind, self.organisation, key)
        self._put(
            {
                "type": kind,
                "spec_version": "2.1",
                "id": name,
                "created_by_ref": own,
                "created": self.created,
                "modified": self.modified or self.created,
                # The standard has no empty lists.
                **{name: value for name, value in properties.items() if value != []},
            },
            tlp or self.tlp,
        )
        return name

    sro = sdo

    def relate(self, kind: str, source: str, target: str, tlp: Tlp | None = None) -> str:
        """Write a relationship; returns its id."""
        return self.sdo(
            "relationship",
            (kind, source, target, self.created),
            tlp,
            relationship_type=kind,
            source_ref=source,
            target_ref=target,
        )

    def observable(self, sco: Stix) -> str:
        """Put an observable in; returns its id."""
        self._put(dict(sco), self.tlp)
        return str(sco["id"])

    def texts(self) -> tuple[str, ...]:
        """All that was written, the TLP definitions first."""
        levels = sorted(self.levels, key=lambda one: one.rank)
        written = (*map(marking_definition, levels), *self.objects.values())
        return tuple(orjson.dumps(one).decode() for one in written)

    def _put(self, content: Stix, tlp: Tlp) -> None:
        self.levels.add(tlp)
        whole = {name: _sendable(value) for name, value in content.items()}
        whole["object_marking_refs"] = [tlp.marking_id]
        self.objects.setdefault(str(content["id"]), whole)


def technique_reference(technique_id: str) -> Stix:
    """An external reference to an ATT&CK technique."""
    return {"source_name": "mitre-attack", "external_id": technique_id}


def sendable(text: str) -> str:
    """A text without halves of characters, which UTF-8 cannot say: logs may hold such."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _sendable(value: object) -> object:
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, list):
        return [_sendable(one) for one in value]
    if isinstance(value, dict):
        return {name: _sendable(one) for name, one in value.items()}
    return value
