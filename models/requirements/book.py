"""The book: requirements and evidence models of every technique, curated or derived."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from typing_extensions import override

from huntonce.models.attack import Catalogue
from huntonce.models.evidence import (
    Atom,
    EvidenceGroup,
    EvidenceModel,
    Provenance,
    Remedy,
)
from huntonce.models.ids import digest
from huntonce.models.requirements.merging import Requirement, RuleSource, requirements

DERIVED_NOTE = (
    "Derived, not written by hand: which of these events the behaviour really leaves was checked "
    "by nobody here, and one live kind of event does not show all of it."
)
NO_EVIDENCE = "no evidence that can be checked here"
_KINDS: dict[str, dict[str, frozenset[int]]] = {
    "Microsoft-Windows-Sysmon/Operational": {
        "process": frozenset((1, 5)),
        "network": frozenset((3, 22)),
        "module": frozenset((6, 7)),
        "process access": frozenset((8, 10, 25)),
        "file": frozenset((2, 9, 11, 15, 23, 26, 27, 28, 29)),
        "registry": frozenset((12, 13, 14)),
        "pipe": frozenset((17, 18)),
        "wmi": frozenset((19, 20, 21)),
    },
    "Security": {
        "process": frozenset((4688, 4689)),
        "logon": frozenset((4624, 4625, 4634, 4648, 4672, 4768, 4769, 4771, 4776)),
        "registry": frozenset((4657,)),
        "file": frozenset((4656, 4660, 4663, 4670)),
        "network": frozenset((5156, 5157, 5158)),
        "share": frozenset((5140, 5142, 5145)),
        "service": frozenset((4697,)),
        "task": frozenset(range(4698, 4703)),
        "account": frozenset((*range(4720, 4768), 4798, 4799)),
        "directory": frozenset((4661, 4662, *range(5136, 5142))),
    },
    "System": {"service": frozenset(range(7000, 7046))},
    "Microsoft-Windows-PowerShell/Operational": {"script": frozenset(range(4100, 4107))},
    "PowerShellCore/Operational": {"script": frozenset(range(4100, 4107))},
    "Windows PowerShell": {"script": frozenset((400, 403, 600, 800))},
    "Microsoft-Windows-TaskScheduler/Operational": {"task": frozenset(range(100, 412))},
    "Microsoft-Windows-WMI-Activity/Operational": {"wmi": frozenset(range(5857, 5862))},
}


class EvidenceBook(Mapping[str, EvidenceModel]):
    """Evidence models by technique id: the curated one, else one derived of rules and analytics.

    Asked for a technique it answers with either; to iterate lists what is written by hand, which
    is what a survey measures. A technique whose requirements are all prose has no model:
    ``explain`` says so.

    Args:
        curated: Models written by hand.
        rules: Technique id to where the rules tagged with it look.
        known: Traces that are written down with their switches, to take remedies from.
    """

    def __init__(
        self,
        curated: Mapping[str, EvidenceModel],
        catalogue: Catalogue,
        rules: Mapping[str, Sequence[RuleSource]] | None = None,
        known: Sequence[Atom] = (),
    ) -> None:
        self.curated = curated
        self._catalogue = catalogue
        self._rules = rules or {}
        self._known = known
        self._models: dict[str, EvidenceModel | None] = {}

    def requirements(self, technique_id: str) -> tuple[Requirement, ...]:
        """What the three sources ask for, merged."""
        return requirements(
            self.curated.get(technique_id),
            self._rules.get(technique_id, ()),
            self._catalogue.analytics.get(technique_id, ()),
        )

    def origin(self, technique_id: str) -> str:
        """Best source of its model: "curated", "sigma", "attack"; else "free_text" or "nothing"."""
        model = self.get(technique_id)
        if model is not None:
            return model.provenance.partition("+")[0]
        return "free_text" if self.requirements(technique_id) else "nothing"

    def explain(self, technique_id: str) -> str:
        """Where its model is from, or why there is none."""
        model = self.get(technique_id)
        if model is not None:
            kind = "written by hand" if model.curated else f"derived ({model.provenance})"
            return f"{kind}, version {model.version}"
        items = self.requirements(technique_id)
        if not items:
            return f"{NO_EVIDENCE}: neither ATT&CK nor a rule at hand names any"
        return f"{NO_EVIDENCE}: {len(items)} sources are named, none by channel and event id"

    @override
    def __getitem__(self, technique_id: str) -> EvidenceModel:
        held = self.curated.get(technique_id)
        if held is not None:
            return held
        if technique_id not in self._models:
            self._models[technique_id] = self._derived(technique_id)
        made = self._models[technique_id]
        if made is None:
            raise KeyError(technique_id)
        return made

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.curated)

    @override
    def __len__(self) -> int:
        return len(self.curated)

    def _derived(self, technique_id: str) -> EvidenceModel | None:
        items = [item for item in self.requirements(technique_id) if item.checkable]
        if not items or technique_id not in self._catalogue.techniques:
            return None
        kinds: dict[str, list[Requirement]] = {}
        for item in items:
            kinds.setdefault(kind_of(item), []).append(item)
        ranked = sorted(kinds, key=lambda k: (-sum(i.support for i in kinds[k]), k))
        groups = tuple(
            EvidenceGroup(
                name=kind,
                required=index == 0,
                atoms=_unique(self._atom(item) for item in kinds[kind]),
                why="most rules and analytics look there" if index == 0 else "",
            )
            for index, kind in enumerate(ranked)
        )
        used = {p for item in items for p in item.provenance}
        return EvidenceModel(
            technique_id=technique_id,
            version=digest(*(f"{i.channel}|{i.event_id}|{','.join(i.fields)}" for i in items))[:12],
            provenance="+".join(p for p in Provenance if p in used),
            groups=groups,
            notes=(DERIVED_NOTE,),
        )

    def _atom(self, item: Requirement) -> Atom:
        found = self._shared.get((item.channel, item.event_id, "CommandLine" in item.fields))
        base = found or self._shared.get((item.channel, item.event_id, False))
        if base is None:
            base = self._unknown(item)
        return replace(
            base,
            primary=True,
            provenance=item.provenance[0],
            trust=item.trust,
            refs=item.refs,
        )

    @cached_property
    def _shared(self) -> dict[tuple[str, int, bool], Atom]:
        shared: dict[tuple[str, int, bool], Atom] = {}
        for atom in self._known:
            for event_id in atom.event_ids:
                shared.setdefault((atom.channel, event_id, "CommandLine" in atom.fields), atom)
        return shared

    def _unknown(self, item: Requirement) -> Atom:
        short = item.channel.removeprefix("Microsoft-Windows-").partition("/")[0]
        like = next((a for a in self._known if self._proves(a, item)), None)
        return Atom(
            id=f"{short.casefold()}/{item.event_id}",
            label=f"{short} {item.event_id}",
            gives=f"event {item.event_id} of {item.channel}",
            channel=item.channel,
            event_ids=(item.event_id,),
            siblings=like.siblings if like else (),
            source=like.source if like else item.channel.casefold(),
            off_by_default=like.off_by_default if like else False,
            remedy=like.remedy
            if like
            else Remedy(
                text=f"Enable the channel {item.channel} and forward it; event {item.event_id} may "
                "need an audit policy or a setting of its own.",
                commands=(f'wevtutil sl "{item.channel}" /e:true',),
            ),
        )

    @staticmethod
    def _proves(atom: Atom, item: Requirement) -> bool:
        return atom.channel == item.channel and item.event_id in atom.siblings


def kind_of(item: Requirement) -> str:
    """What kind of trace an event is: the group it stands in."""
    for kind, ids in _KINDS.get(item.channel, {}).items():
        if item.event_id in ids:
            return kind
    return item.channel.removeprefix("Microsoft-Windows-").partition("/")[0].casefold()


def _unique(atoms: Iterator[Atom]) -> tuple[Atom, ...]:
    return tuple({atom.id: atom for atom in atoms}.values())
