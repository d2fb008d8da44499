"""From behaviours to hypotheses: one for each technique and scope, however many reports say it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from huntonce.models.attack import Catalogue
from huntonce.models.deriving.priority import score
from huntonce.models.deriving.statement import by_rank, ranked_procedures, statement
from huntonce.models.hypothesis import Hypothesis, HypothesisState, fingerprint
from huntonce.models.intel import Behaviour, SourceRef
from huntonce.models.profile import Profile

LOGIC_VERSION = "1"
"""Changes when deriving gives other hypotheses for the same intelligence."""

PROCEDURES_KEPT = 40
_SAME_PLATFORM = {
    "azure ad": "identity provider",
    "entra id": "identity provider",
    "office 365": "office suite",
    "microsoft 365": "office suite",
    "google workspace": "office suite",
    "aws": "iaas",
    "azure": "iaas",
    "gcp": "iaas",
    "cloud": "iaas",
    "network": "network devices",
    "mac": "macos",
    "vmware esxi": "esxi",
}


def derive(
    behaviours: Iterable[Behaviour],
    catalogue: Catalogue,
    profile: Profile,
    *,
    guarded: Callable[[str], bool | None],
    visible: Callable[[str], float | None],
    now: datetime,
    evidence_phrase: Callable[[str, str], str] | None = None,
    evidence_version: str = "",
) -> tuple[Hypothesis, ...]:
    """Hypotheses in state proposed, highest priority first.

    ``guarded`` takes a hypothesis key (fingerprint): True where a healthy detection stands guard,
    False where there is one that is not healthy, None where there is none. ``visible`` takes a
    technique id: the share 0..1 of its evidence that is there, None where that was not measured.
    ``evidence_phrase`` takes a technique id and a scope: a phrase for the traces it leaves there,
    or "". Techniques that give no hypothesis are told by ``outside``.
    """
    by_technique: dict[str, list[Behaviour]] = defaultdict(list)
    for behaviour in behaviours:
        by_technique[behaviour.technique_id].append(behaviour)
    found: list[Hypothesis] = []
    for technique_id, claims in by_technique.items():
        technique = catalogue.technique(technique_id)
        if technique is None:
            continue
        for scope in scopes(technique_id, catalogue, profile):
            traces = evidence_phrase(technique_id, scope) if evidence_phrase else ""
            priority, terms = score(
                technique,
                scope,
                claims,
                profile,
                guarded=guarded(fingerprint(technique_id, scope)),
                visible=visible(technique_id),
                now=now,
            )
            found.append(
                Hypothesis(
                    technique_id=technique_id,
                    technique_name=catalogue.name(technique_id),
                    scope=scope,
                    statement=statement(technique_id, scope, claims, catalogue, evidence=traces),
                    priority=priority,
                    terms=terms,
                    actors=_actors(claims),
                    procedures=ranked_procedures(scope, claims, PROCEDURES_KEPT),
                    sources=_sources(claims),
                    own_only=all(claim.own for claim in claims),
                    logic_version=LOGIC_VERSION,
                    evidence_version=evidence_version,
                    attack_version=catalogue.version,
                )
            )
    return tuple(sorted(found, key=lambda h: (-h.priority, h.technique_id, h.scope)))


def scopes(technique_id: str, catalogue: Catalogue, profile: Profile) -> tuple[str, ...]:
    """Platforms of ours that a technique applies to, lower case, windows first."""
    technique = catalogue.technique(technique_id)
    theirs = {platform.casefold() for platform in technique.platforms} if technique else set()
    ours = {_SAME_PLATFORM.get(p.casefold(), p.casefold()) for p in profile.platforms}
    return tuple(sorted(ours & theirs, key=lambda scope: (scope != "windows", scope)))


def broader(hypotheses: Iterable[Hypothesis]) -> dict[str, tuple[str, ...]]:
    """Keys of hypotheses about a whole technique, to the keys of those about its sub-techniques.

    Intel that names T1053 alone does not say which of its forms is meant. Such a hypothesis stays
    stored, with its own sources; but where narrower ones of the same scope stand beside it, they
    are the ones to hunt, and a list need not show both.
    """
    narrow: dict[tuple[str, str], list[str]] = defaultdict(list)
    whole: list[Hypothesis] = []
    for hypothesis in hypotheses:
        if hypothesis.state is HypothesisState.SUPERSEDED:
            continue
        parent, dot, _ = hypothesis.technique_id.partition(".")
        if dot:
            narrow[parent, hypothesis.scope].append(hypothesis.key)
        else:
            whole.append(hypothesis)
    return {
        h.key: tuple(narrow[h.technique_id, h.scope])
        for h in whole
        if (h.technique_id, h.scope) in narrow
    }


def outside(
    behaviours: Iterable[Behaviour], catalogue: Catalogue, profile: Profile
) -> tuple[tuple[str, str], ...]:
    """Techniques that are claimed but give no hypothesis here, as (technique id, why), in order."""
    claimed = sorted({behaviour.technique_id for behaviour in behaviours})
    return tuple(
        (technique_id, _why_outside(technique_id, catalogue))
        for technique_id in claimed
        if not scopes(technique_id, catalogue, profile)
    )


def _why_outside(technique_id: str, catalogue: Catalogue) -> str:
    technique = catalogue.technique(technique_id)
    if technique is None:
        return f"{technique_id} is not in ATT&CK v{catalogue.version}"
    if technique.platforms == ("PRE",):
        return "happens before the attack, outside our systems"
    return f"is about {', '.join(technique.platforms) or 'no platform'}, none of them ours"


def _actors(claims: Sequence[Behaviour]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(claim.actor for claim in by_rank(claims) if claim.actor))


def _sources(claims: Sequence[Behaviour]) -> tuple[SourceRef, ...]:
    found = {source for claim in claims for source in claim.sources}
    return tuple(sorted(found, key=lambda s: (-s.modified.timestamp(), s.object_id, s.feed)))
