"""ATT&CK as a catalogue: techniques, what became of old and newer ids and tags, analytics."""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from huntonce.models.attack_data import FORMAT, Document
from huntonce.models.attack_types import (
    LONGEST_ID,
    Analytic,
    LogSource,
    Named,
    Outcome,
    Resolution,
    Technique,
    TechniqueState,
    normalise,
)
from huntonce.models.errors import ConfigError

DEFAULT_VERSION = "18.1"
_LEADING_ID = re.compile(r"(T[0-9]{4}(?:[./][0-9]{3})?)[ :-]", re.IGNORECASE | re.ASCII)
_HOPS = 8
_LISTS = ("tactics", "techniques", "groups", "campaigns", "software", "components")
_PARTS = frozenset(("attack", "strategies", "analytics", "log_sources", *_LISTS))
_BAD_CATALOGUE = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
)


class Catalogue:
    """One version of ATT&CK, and the newer ids it can place.

    Attributes:
        version: "18.1".
        tactics: Short name to display name, in the order of the matrix.
        techniques: Every technique by id, revoked and deprecated ones included.
    """

    def __init__(
        self,
        document: Document,
        newer: Mapping[str, Sequence[Sequence[Any]]] | None = None,
        newer_tactics: Mapping[str, Sequence[Sequence[Any]]] | None = None,
    ) -> None:
        self.version: str = document["attack"]
        self.notice: str = document.get("notice", "")
        self.tactics: dict[str, str] = {row[1]: row[2] for row in document["tactics"]}
        rows = document["techniques"]
        parents = {row["id"].partition(".")[0] for row in rows if _is_active_sub(row)}
        self.techniques: dict[str, Technique] = {
            row["id"]: _technique(row, parents) for row in rows
        }
        self._by_stix = {technique.stix_id: technique for technique in self.techniques.values()}
        self._newer = {
            new: tuple(str(old[0]) for old in olds) for new, olds in (newer or {}).items()
        }
        self._newer_tactics = {
            new: tuple(str(old[0]) for old in olds) for new, olds in (newer_tactics or {}).items()
        }
        self._tactic_ids = {str(row[0]).casefold(): str(row[1]) for row in document["tactics"]}
        self._document = document

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """Every platform that an active technique applies to, in alphabetical order."""
        return tuple(sorted({p for t in self.active for p in t.platforms}))

    @cached_property
    def active(self) -> tuple[Technique, ...]:
        """Techniques that are neither revoked nor deprecated, by id."""
        return tuple(t for t in self.techniques.values() if t.state is TechniqueState.ACTIVE)

    @cached_property
    def components(self) -> dict[str, str]:
        """Data component id ("DC0032") to its name."""
        return {row[0]: row[1] for row in self._document["components"]}

    @cached_property
    def analytics(self) -> dict[str, tuple[Analytic, ...]]:
        """Technique id to the analytics that detect it."""
        return _analytics(self._document)

    @cached_property
    def named(self) -> dict[str, Named]:
        """Casefolded name, other name, ATT&CK id or STIX id to the group, campaign or software.

        Where two share a name, the one it is the first name of has it.
        """
        rows = [row for kind in ("groups", "campaigns", "software") for row in self._document[kind]]
        things = [
            Named(stix_id=row[0], id=row[1], name=row[2], aliases=tuple(row[3])) for row in rows
        ]
        found = {alias.casefold(): thing for thing in things for alias in thing.aliases}
        for thing in things:
            for key in (thing.name, thing.id, thing.stix_id):
                found[key.casefold()] = thing
        return found

    def technique(self, technique_id: str) -> Technique | None:
        """The technique of that very id (however written), whatever its state."""
        return self.techniques.get(normalise(technique_id))

    def tactics_of(self, technique_ids: Iterable[str]) -> tuple[str, ...]:
        """Tactics of techniques, each once, in order; nothing of those that are unknown."""
        known = (self.technique(technique_id) for technique_id in technique_ids)
        return tuple(dict.fromkeys(t for one in known if one is not None for t in one.tactics))

    def by_stix_id(self, stix_id: str) -> Technique | None:
        """The technique of an attack-pattern id."""
        return self._by_stix.get(stix_id)

    def name(self, technique_id: str) -> str:
        """Such as "Scheduled Task/Job: Scheduled Task"; the id itself where it is unknown."""
        technique = self.technique(technique_id)
        if technique is None:
            return technique_id
        parent = self.techniques.get(technique.parent_id)
        return f"{parent.name}: {technique.name}" if parent else technique.name

    def resolve(self, technique_id: str) -> Resolution:
        """What stands for an id in this version of ATT&CK; any text is answered."""
        key = normalise(technique_id)
        technique = self.techniques.get(key)
        if technique is None:
            return self._newer_id(technique_id, key)
        match technique.state:
            case TechniqueState.ACTIVE:
                why = f"{key} is current in ATT&CK v{self.version}"
                return Resolution(asked=technique_id, id=key, outcome=Outcome.CURRENT, why=why)
            case TechniqueState.DEPRECATED:
                why = f"{key} ({technique.name}) is deprecated in ATT&CK, without a replacement"
                return Resolution(asked=technique_id, id="", outcome=Outcome.DEPRECATED, why=why)
            case TechniqueState.REVOKED:
                return self._revoked(technique_id, technique)

    def tactic(self, name: str) -> tuple[tuple[str, ...], str]:
        """Short names of this version's tactics that a short name or id (TA0005) means, and why.

        Nothing where the name is of no version that is known here.
        """
        key = name.strip().casefold().replace("_", "-")
        key = self._tactic_ids.get(key, key)
        if key in self.tactics:
            return (key,), f"{key} is current in ATT&CK v{self.version}"
        older = [old for old in self._newer_tactics.get(key, ()) if old in self.tactics]
        if older:
            names = " and ".join(older)
            why = f"{key} is a tactic of a newer ATT&CK; in v{self.version} it is part of {names}"
            return tuple(older), why
        younger = [
            new for new, olds in self._newer_tactics.items() if key in olds and new in self.tactics
        ]
        if younger:
            why = f"{key} was split; in ATT&CK v{self.version} it is {' and '.join(younger)}"
            return tuple(younger), why
        return (), f"{key[:LONGEST_ID]} is no tactic of ATT&CK v{self.version}"

    def find(self, text: str) -> tuple[Technique, ...]:
        """Techniques that a person may mean by an id or (part of) a name, best first.

        An id that is revoked or from a newer ATT&CK finds what stands for it.
        """
        wanted = " ".join(text.split()).casefold()
        leading = _LEADING_ID.match(wanted)
        resolved = self.resolve(leading[1] if leading else wanted)
        if resolved.usable:
            return tuple(self.techniques[i] for i in (resolved.id, *resolved.others))
        if not wanted or normalise(wanted):
            found = self.techniques.get(normalise(wanted))
            return (found,) if found else ()
        full = {t: self.name(t.id).casefold() for t in self.active}
        exact = [t for t, name in full.items() if wanted in {t.name.casefold(), name}]
        return tuple(exact or [t for t, name in full.items() if wanted in name])

    def _revoked(self, asked: str, technique: Technique) -> Resolution:
        found: Technique | None = technique
        for _ in range(_HOPS):
            if found is None or found.state is not TechniqueState.REVOKED:
                break
            found = self.techniques.get(found.replaced_by)
        if found is None or found.state is not TechniqueState.ACTIVE:
            why = f"{technique.id} ({technique.name}) is revoked; nothing active stands for it"
            return Resolution(asked=asked, id="", outcome=Outcome.REVOKED, why=why)
        why = f"{technique.id} ({technique.name}) is revoked; {found.id} stands for it"
        return Resolution(asked=asked, id=found.id, outcome=Outcome.REVOKED, why=why)

    def _newer_id(self, asked: str, key: str) -> Resolution:
        candidates = [
            i for i in self._newer.get(key, ()) if i in self.techniques and self.resolve(i).usable
        ]
        if candidates:
            first, *others = candidates
            more = f" (or {', '.join(others)})" if others else ""
            why = f"{key} is an id of a newer ATT&CK; in v{self.version} it is {first}{more}"
            return Resolution(
                asked=asked, id=first, outcome=Outcome.FROM_V19, why=why, others=tuple(others)
            )
        parent = key.partition(".")[0]
        found = self._newer_id(asked, parent) if parent != key and parent in self._newer else None
        if found is not None and found.usable:
            why = f"{key} is placed by its parent: {found.why}"
            return replace(found, why=why)
        shown = key or repr(asked[:LONGEST_ID])
        reason = f"not in Enterprise ATT&CK v{self.version}" if key else "no technique id of ATT&CK"
        return Resolution(asked=asked, id="", outcome=Outcome.UNKNOWN, why=f"{shown} is {reason}")


def read_catalogue(packed: bytes, crosswalk: bytes | None = None) -> Catalogue:
    """The catalogue in the bytes that ``attack_data.pack`` made.

    ``crosswalk`` (JSON) places ids of a newer ATT&CK: None = the shipped one, b"" = none.

    Raises:
        ConfigError: The bytes are something else.
    """
    if crosswalk is None:
        crosswalk = (_content() / "crosswalk-v18-v19.json").read_bytes()
    try:
        document = json.loads(gzip.decompress(packed))
        if document.get("format") != FORMAT:
            raise ConfigError(
                f"ATT&CK catalogue of format {document.get('format')!r}, not {FORMAT}",
                hint="Run `huntonce attack update` to make it anew.",
            )
        if missing := _PARTS - set(document):
            raise ConfigError(f"ATT&CK catalogue without {', '.join(sorted(missing))}")
        newer = json.loads(crosswalk) if crosswalk else {}
        return Catalogue(document, newer.get("techniques"), newer.get("tactics"))
    except _BAD_CATALOGUE as error:
        raise ConfigError(
            f"not an ATT&CK catalogue: {error}",
            hint="Run `huntonce attack update` to make it anew.",
        ) from error


@cache
def load_catalogue() -> Catalogue:
    """The catalogue that Huntonce ships, read once."""
    return read_catalogue((_content() / f"enterprise-{DEFAULT_VERSION}.json.gz").read_bytes())


def _content() -> Traversable:
    return resources.files("huntonce.content") / "attack"


def _is_active_sub(row: Mapping[str, Any]) -> bool:
    return "." in row["id"] and row["state"] == TechniqueState.ACTIVE


def _technique(row: Mapping[str, Any], parents: set[str]) -> Technique:
    return Technique(
        id=row["id"],
        stix_id=row["stix"],
        name=row["name"],
        tactics=tuple(row["tactics"]),
        platforms=tuple(row["platforms"]),
        state=TechniqueState(row["state"]),
        replaced_by=row["by"],
        has_subtechniques=row["id"] in parents,
    )


def _analytics(document: Document) -> dict[str, tuple[Analytic, ...]]:
    sources = [LogSource(name=n, channel=c, component=d) for n, c, d in document["log_sources"]]
    rows = {row[0]: row for row in document["analytics"]}
    found: dict[str, list[Analytic]] = {}
    for strategy_id, technique_id, analytic_ids in document["strategies"]:
        found.setdefault(technique_id, []).extend(
            Analytic(
                id=analytic_id,
                strategy_id=strategy_id,
                technique_id=technique_id,
                platforms=tuple(rows[analytic_id][1]),
                log_sources=tuple(sources[index] for index in rows[analytic_id][2]),
                fields=tuple(rows[analytic_id][3]),
            )
            for analytic_id in analytic_ids
            if analytic_id in rows
        )
    return {technique_id: tuple(analytics) for technique_id, analytics in found.items()}
