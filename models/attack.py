"""ATT&CK as a catalogue: techniques, what became of old and newer ids and tags, analytics."""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from huntonce.models.attack_data import FORMAT, Document
from huntonce.models.errors import ConfigError

DEFAULT_VERSION = "18.1"
_TECHNIQUE = re.compile(
    r"(?:https?://attack\.mitre\.org/(?:versions/v[0-9.]{1,6}/)?techniques/|attack[.:-])?"
    r"T([0-9]{4})(?:[./]([0-9]{3}))?/?",
    re.IGNORECASE | re.ASCII,
)
_LEADING_ID = re.compile(r"(T[0-9]{4}(?:[./][0-9]{3})?)[ :-]", re.IGNORECASE | re.ASCII)
_OTHER_TAG = re.compile(r"[gsc][0-9]{4}|ta[0-9]{4}|ds[0-9]{4}", re.ASCII)
_LONGEST_ID = 100
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


class TechniqueState(StrEnum):
    """Standing of a technique in its version of ATT&CK."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """A technique or sub-technique.

    Attributes:
        tactics: Short names ("persistence") in the order ATT&CK gives them.
        platforms: ATT&CK's names ("Windows", "Network Devices").
        replaced_by: Technique id, where the state is revoked and ATT&CK names one; else "".
        has_subtechniques: Whether active sub-techniques divide it further.
    """

    id: str
    stix_id: str
    name: str
    tactics: tuple[str, ...]
    platforms: tuple[str, ...]
    state: TechniqueState
    replaced_by: str = ""
    has_subtechniques: bool = False

    @property
    def is_subtechnique(self) -> bool:
        """Whether it has a parent."""
        return "." in self.id

    @property
    def parent_id(self) -> str:
        """Id of the technique it belongs to; "" for a technique."""
        return self.id.partition(".")[0] if self.is_subtechnique else ""


class Outcome(StrEnum):
    """What became of a technique id that was looked up."""

    CURRENT = "current"
    REVOKED = "revoked"
    FROM_V19 = "from_v19"
    DEPRECATED = "deprecated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The answer for a technique id.

    Attributes:
        asked: The id as it was asked for.
        id: The active technique that stands for it; "" where there is none.
        why: What happened, in a sentence.
        others: Further candidates, where a newer id stands for more than one technique.
    """

    asked: str
    id: str
    outcome: Outcome
    why: str
    others: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there is an active technique to hunt."""
        return bool(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """A log source as an ATT&CK analytic refers to it; the channel may be free text."""

    name: str
    channel: str
    component: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytic:
    """One analytic ("AN1221") of a detection strategy, for one platform as a rule."""

    id: str
    strategy_id: str
    technique_id: str
    platforms: tuple[str, ...]
    log_sources: tuple[LogSource, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A group, campaign or piece of software that ATT&CK names."""

    stix_id: str
    id: str
    name: str
    aliases: tuple[str, ...]


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
        return (), f"{key[:_LONGEST_ID]} is no tactic of ATT&CK v{self.version}"

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
        shown = key or repr(asked[:_LONGEST_ID])
        reason = f"not in Enterprise ATT&CK v{self.version}" if key else "no technique id of ATT&CK"
        return Resolution(asked=asked, id="", outcome=Outcome.UNKNOWN, why=f"{shown} is {reason}")


def normalise(technique_id: str) -> str:
    """An id as ATT&CK writes it ("T1053.005"); "" for what is not a technique id.

    Understood are any case, T1053/005, attack.t1053.005 and the address of a technique's page.
    """
    text = technique_id.strip()
    found = _TECHNIQUE.fullmatch(text) if len(text) <= _LONGEST_ID else None
    if found is None:
        return ""
    return f"T{found[1]}.{found[2]}" if found[2] else f"T{found[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagCheck:
    """What the ATT&CK tags of a Sigma rule are worth in a version of ATT&CK.

    Attributes:
        faults: Tags that no version known here has, with the reason.
        notes: Tags that pass although they are of an older or newer ATT&CK, with what they mean.
    """

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_tags(tags: Iterable[str], catalogue: Catalogue) -> TagCheck:
    """Faults and notes of a rule's tags; those outside ``attack.`` are not looked at.

    Rules are tagged for one version of ATT&CK and read with another: what can be placed passes
    with a note (attack.defense-evasion and attack.stealth, t1562.001 and t1685).
    """
    faults: list[str] = []
    notes: list[str] = []
    for tag in dict.fromkeys(tags):
        name = tag.casefold()
        if not name.startswith("attack."):
            continue
        placed, note = _placed_tag(name.removeprefix("attack."), catalogue)
        shown = tag[:_LONGEST_ID]
        if not placed:
            faults.append(f"tag {shown!r}: {note}")
        elif note:
            notes.append(f"tag {shown!r}: {note}")
    return TagCheck(faults=tuple(faults), notes=tuple(notes))


def tag_faults(tags: Iterable[str], catalogue: Catalogue) -> tuple[str, ...]:
    """The faults alone, in words; empty where every tag can be placed."""
    return check_tags(tags, catalogue).faults


def _placed_tag(name: str, catalogue: Catalogue) -> tuple[bool, str]:
    """Whether a tag without its namespace can be placed, and what there is to say of it."""
    if normalise(name):
        answer = catalogue.resolve(name)
        # A deprecated technique is a true name of ATT&CK: the tag stands, the hunter is told.
        known = answer.usable or answer.outcome in {Outcome.DEPRECATED, Outcome.REVOKED}
        return known, "" if answer.outcome is Outcome.CURRENT else answer.why
    if _OTHER_TAG.fullmatch(name) and not name.startswith("ta"):
        if name.startswith("ds") or name in catalogue.named:
            return True, ""
        return True, f"{name.upper()} is not active in ATT&CK v{catalogue.version}"
    tactics, why = catalogue.tactic(name)
    current = name in {*tactics} or (len(tactics) == 1 and name.startswith("ta"))
    return bool(tactics), "" if current else why


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
