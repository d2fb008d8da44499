"""The one loader of content: hunts and evidence, ours and a user's, checked as they are read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huntonce.models.analytics.questions import check, pattern
from huntonce.models.content_evidence import load_evidence
from huntonce.models.content_files import PlacedError, at, load, yaml_files
from huntonce.models.detecting import met
from huntonce.models.errors import DomainError
from huntonce.models.evidence import EvidenceModel
from huntonce.models.huntdef import (
    AllowEntry,
    AnalyticSpec,
    DetectionTemplate,
    HuntDefinition,
    HuntSearch,
)
from huntonce.models.hunting import placeholders
from huntonce.models.setaside import SetAside

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

RECORDS = "scheduled_task"
"""The kind of record that hunts are about so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The hunts and evidence models at hand, and what could not be read of them."""

    hunts: tuple[HuntDefinition, ...]
    evidence: Mapping[str, EvidenceModel]
    set_aside: tuple[SetAside, ...]

    def hunt(self, name: str) -> HuntDefinition | None:
        """By name."""
        return next((hunt for hunt in self.hunts if hunt.name == name), None)

    def hunt_for(self, technique_id: str) -> HuntDefinition | None:
        """The first that is about a technique."""
        return next((hunt for hunt in self.hunts if technique_id in hunt.techniques), None)


def load_library(folders: Iterable[Path] = ()) -> Library:
    """Shipped hunts and evidence, then those of the user's folders; a later name replaces.

    A folder may hold ``hunts/*.yml`` and ``evidence/*.yml``. What is wrong is set aside with
    file, line and reason; the rest is loaded.
    """
    hunts: dict[str, HuntDefinition] = {}
    refused: list[SetAside] = []
    shipped = files("huntonce.content")
    roots: list[Traversable] = [shipped, *folders]
    evidence = load_evidence(roots, shipped, refused)
    for root in roots:
        for item in yaml_files(root / "hunts"):
            hunt = load(item, "hunt", _hunt, refused, ours=root is shipped)
            if hunt is not None:
                hunts[hunt.name] = hunt
    return Library(
        hunts=tuple(hunts[name] for name in sorted(hunts)),
        evidence=evidence,
        set_aside=tuple(refused),
    )


def check_hunt(path: Path) -> HuntDefinition:
    """A hunt definition from a file.

    Raises:
        DomainError: With the place and the reason.
    """
    refused: list[SetAside] = []
    hunt = load(path, "hunt", _hunt, refused)
    if hunt is None:
        raise DomainError(f"{path}: {refused[0].place}: {refused[0].reason}")
    return hunt


def _hunt(data: Any) -> HuntDefinition:  # noqa: ANN401 - checked against the schema
    analytics = tuple(AnalyticSpec(**item) for item in data["analytics"])
    allow = tuple(AllowEntry(**item) for item in data.get("allow", ()))
    _check_parts(data, analytics, allow)
    simple = {
        name: data[name]
        for name in (
            "name",
            "id",
            "version",
            "title",
            "scope",
            "hypothesis",
            "evidence",
            "records",
            "abnormal",
            "malicious_at",
            "suspicious_at",
            "author",
        )
        if name in data
    }
    return HuntDefinition(
        **simple,
        techniques=tuple(data["techniques"]),
        references=tuple(data.get("references", ())),
        triage=tuple(data.get("triage", ())),
        searches=tuple(
            HuntSearch(**{**item, "fields": tuple(item["fields"])}) for item in data["searches"]
        ),
        analytics=analytics,
        allow=allow,
        detections=tuple(
            DetectionTemplate(
                **{
                    **item,
                    "needs": tuple(item["needs"]),
                    "falsepositives": tuple(item["falsepositives"]),
                }
            )
            for item in data.get("detections", ())
        ),
    )


def _check_parts(
    data: Any,  # noqa: ANN401 - as above
    analytics: Sequence[AnalyticSpec],
    allow: Iterable[AllowEntry],
) -> None:
    """Nothing, where the parts of a hunt can do what they say."""
    if data["records"] != RECORDS:
        raise PlacedError("records", f"unknown kind {data['records']!r}, known is {RECORDS!r}")
    for part in ("searches", "analytics", "detections"):
        names = [item["name"] for item in data.get(part, ())]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PlacedError(part, f"two are called {twice[0]!r}")
    for spec in analytics:
        with at(f"analytics/{spec.name}"):
            check(spec)
            placeholders(spec.why)
    for entry in allow:
        with at(f"allow/{entry.name}"):
            for expression in entry.when.values():
                pattern(expression)
            if entry.expires:
                date.fromisoformat(entry.expires)
    _check_needs(data.get("detections", ()), {spec.name for spec in analytics})


def _check_needs(detections: Any, fired: set[str]) -> None:  # noqa: ANN401 - as above
    for item in detections:
        for need in item["needs"]:
            if not met(need, fired):
                raise PlacedError(
                    f"detections/{item['name']}", f"no analytic is called {need!r}: never met"
                )
