"""The ATT&CK tags of Sigma rules: what they are worth in a version of ATT&CK; works offline."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from huntonce.models.attack import Catalogue
from huntonce.models.attack_types import LONGEST_ID, Outcome, normalise

_OTHER_TAG = re.compile(r"[gsc][0-9]{4}|ta[0-9]{4}|ds[0-9]{4}", re.ASCII)


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
        shown = tag[:LONGEST_ID]
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
