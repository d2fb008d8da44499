"""Where promoted detections go: the store of rules, and the SIEMs that get them too.

A part of the composition root (``bootstrap.Home.kit`` asks it); imports no Prefect.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from typing_extensions import override

from huntonce.flows.settings import Settings

if TYPE_CHECKING:
    from huntonce.models.ports import DetectionStore, Siem

T = TypeVar("T")


class Opened(Mapping[str, T]):
    """Connectors by name, each made when it is first asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], T]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, T] = {}

    @override
    def __getitem__(self, name: str) -> T:
        """The connector; errors as its maker's."""
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    @override
    def __iter__(self) -> Iterator[str]:
        """Names, in the order of the settings."""
        return iter(self._makers)

    @override
    def __len__(self) -> int:
        """How many there are, made or not."""
        return len(self._makers)


def rule_store(settings: Settings, home: Path) -> "DetectionStore":
    """Where promoted detections are kept: a folder, or a folder in a Git repository."""
    from huntonce.connectors.detections.folder import RuleFolder
    from huntonce.connectors.detections.git import GitRules

    part = settings.rules
    path = home / part.folder  # an absolute one stays as it is
    if not part.git:
        return RuleFolder(path, name="lake")
    return GitRules(path, name="lake", remote=part.remote, author=part.author)


def targets(settings: Settings, home: Path) -> "Mapping[str, DetectionStore]":
    """The SIEMs that detections are deployed to: those whose settings name a ``rules_index``.

    Raises:
        ConfigError: The settings of one are wrong.
    """
    from huntonce.connectors.siem.registry import read_settings

    makers: dict[str, Callable[[], DetectionStore]] = {}
    for name, given in settings.siems.items():
        if given.get("rules_index"):
            kind, read = read_settings(name, given, home)
            if kind.rules is not None:
                makers[name] = partial(kind.rules, read, name)
    return Opened(makers)


def others(
    names: Mapping[str, object], siem: str, open_siem: "Callable[[str], Siem]"
) -> "Mapping[str, Siem]":
    """The SIEMs among the targets that a certificate is run on besides the main one.

    The lake is none of them: its engine is every certificate's second one already.
    """
    return Opened({name: partial(open_siem, name) for name in names if name != siem})
