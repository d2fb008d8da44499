"""The one loader of content: hunts and evidence, ours and a user's, checked as they are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from huntonce.models.content_evidence import load_evidence
from huntonce.models.content_files import load, yaml_files
from huntonce.models.content_hunts import allow_of, hunt_of, line_of, merged_allow
from huntonce.models.errors import DomainError
from huntonce.models.evidence import EvidenceModel
from huntonce.models.huntdef import AllowEntry, Baseline, HuntDefinition
from huntonce.models.setaside import SetAside

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The hunts and evidence models at hand, and what could not be read of them."""

    hunts: tuple[HuntDefinition, ...]
    evidence: Mapping[str, EvidenceModel]
    set_aside: tuple[SetAside, ...]
    baselines: Mapping[str, Baseline] = field(default_factory=dict)

    def hunt(self, name: str) -> HuntDefinition | None:
        """By name."""
        return next((hunt for hunt in self.hunts if hunt.name == name), None)

    def hunt_for(self, technique_id: str) -> HuntDefinition | None:
        """The first that is about a technique; a user's own comes before ours."""
        return next((hunt for hunt in self.hunts if technique_id in hunt.techniques), None)


def load_library(folders: Iterable[Path] = ()) -> Library:
    """Shipped hunts and evidence, then those of the user's folders; a later name replaces.

    A folder may hold ``hunts/*.yml``, ``evidence/*.yml`` and ``allow/*.yml``. What is
    wrong is set aside with file, line and reason; the rest is loaded.
    """
    hunts: dict[str, HuntDefinition] = {}
    own: set[str] = set()
    allow: dict[str, AllowEntry] = {}
    baselines: dict[str, Baseline] = {}
    refused: list[SetAside] = []
    shipped = files("huntonce.content")
    roots: list[Traversable] = [shipped, *folders]
    evidence = load_evidence(roots, shipped, refused)
    for root in roots:
        for item in yaml_files(root / "hunts"):
            hunt = load(item, "hunt", hunt_of, refused, ours=root is shipped)
            if hunt is not None:
                hunts[hunt.name] = hunt
                own |= {hunt.name} if root is not shipped else set()
        for item in yaml_files(root / "allow"):
            told = load(item, "allow", allow_of, refused, ours=root is shipped)
            if told is not None:
                allow.update((entry.name, entry) for entry in told[0])
                baselines.update((baseline.name, baseline) for baseline in told[1])
    # A user's hunt of a technique is asked for before ours, whatever the two are called.
    ordered = [hunts[name] for name in sorted(hunts, key=lambda name: (name not in own, name))]
    return Library(
        hunts=merged_allow(ordered, tuple(allow.values())),
        evidence=evidence,
        set_aside=tuple(refused),
        baselines=baselines,
    )


def check_hunt(path: Path) -> HuntDefinition:
    """A hunt definition from a file.

    Raises:
        DomainError: With the place and the reason.
    """
    refused: list[SetAside] = []
    hunt = load(path, "hunt", hunt_of, refused)
    if hunt is None:
        fault = refused[0]
        place = fault.place
        try:
            line = line_of(path.read_text(encoding="utf-8"), place)
        except (OSError, UnicodeDecodeError):
            line = None
        told = f"{place} (line {line})" if line else place
        raise DomainError(f"{path}: {told}: {fault.reason}")
    return hunt
