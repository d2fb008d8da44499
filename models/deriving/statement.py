"""A hypothesis in the words of a hunter: who, what behaviour, where, how, with what traces."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from huntonce.models.attack import Catalogue
from huntonce.models.deriving.phrases import PHRASES, PLACES, TACTICS
from huntonce.models.deriving.priority import dated
from huntonce.models.deriving.text import first_sentence, shorten
from huntonce.models.intel import Behaviour

_RANK = ("intrusion-set", "threat-actor", "campaign", "malware", "tool")
# Words by which a procedure shows the platform it is about; ATT&CK's free text has no field.
_SIGNS: dict[str, re.Pattern[str]] = {
    scope: re.compile(pattern, re.IGNORECASE)
    for scope, pattern in {
        "windows": r"\b(windows|powershell|registry|cmd|wmi|wmic|smb|rdp|lsass|vbs|vbscript)\b"
        r"|\.(exe|dll|bat|ps1|vbs|lnk|hta)\b|schtasks|rundll32|HKLM|HKCU|%\w+%|[A-Z]:\\",
        "linux": r"\b(linux|bash|cron|crontab|systemd|sudo|ssh|elf)\b|/(etc|tmp|var|usr)/",
        "macos": r"\b(macos|mac os|os x|osascript|launchd|launchctl|plist|applescript)\b",
        "esxi": r"\b(esxi|esxcli|vcenter|vmware)\b",
        "containers": r"\b(docker|kubernetes|kubectl|container)\b",
        "iaas": r"\b(aws|azure|gcp|cloud|ec2|s3)\b",
        "office suite": r"\b(exchange|outlook|office 365|m365|microsoft 365|sharepoint|mailbox)\b",
        "identity provider": r"\b(azure ad|entra|okta|saml|adfs|ad fs|mfa)\b",
        "saas": r"\b(saas|salesforce|github|slack|graph api)\b",
        "network devices": r"\b(router|firewall|cisco|fortinet|switch|vpn)\b",
    }.items()
}
_ANY_SIGN = re.compile("|".join(sign.pattern for sign in _SIGNS.values()), re.IGNORECASE)
_GERUND = re.compile(
    r"(?:by )?(?!(?:during|following|including|according|regarding|beijing)\b)[a-z]+ing\b"
)
# Written about an indicator rather than the behaviour ("HTTP request to this C2 server").
_POINTING = re.compile(
    r"\bthis (?:c2|ip|url|domain|hash|file|address|server|sample)\b", re.IGNORECASE
)
# What can be searched for as it stands: files, paths, keys, switches, API names, quoted words.
_NAMED = re.compile(
    r"\b[\w-]{2,}\.(?:exe|dll|ps1|bat|vbs|js|hta|lnk|sys|dmp|py|sh|jar|msi|dat|tmp)\b"
    r"|%\w+%|[A-Z]:\\[\w\\ -]+|\bHK(?:LM|CU|EY_\w+)\b[\w\\]*|(?<!\w)/(?:etc|tmp|var|usr)/[\w/.-]+"
    r"|(?<!\w)[-/]{1,2}[a-z]{2,}\b|\b[A-Z][a-z]+[A-Z]\w+[a-z](?:\(\))?|\"[^\"]{3,60}\""
    r"|\b(?:schtasks|wmic|net|reg|rundll32|regsvr32|mshta|certutil|bitsadmin|vssadmin|psexec|nltest|"
    r"procdump|mimikatz|ntdsutil|comsvcs|crontab|curl|wget)\b"
)
_UPPER_START = re.compile(r"[A-Z][a-z]")


def statement(
    technique_id: str,
    scope: str,
    claims: Sequence[Behaviour],
    catalogue: Catalogue,
    *,
    evidence: str = "",
) -> str:
    """The hypothesis as a testable claim in plain language, one to three sentences.

    ``evidence`` is a phrase for the traces ("Security 4698 and a new file in the Tasks folder").
    """
    ranked = _leading(scope, by_rank(claims))
    claim = f"{_who(ranked)} {_what(technique_id, scope, catalogue)} ({technique_id})"
    how = _how(ranked)
    if not how:
        told = f"{claim}."
    elif _GERUND.match(how):
        told = f"{claim}: seen done {how if how.startswith('by ') else f'by {how}'}."
    else:
        told = f"{claim}. As reported: {how}."
    return f"{told} It would leave {evidence.rstrip(' .')}." if evidence.strip() else told


def by_rank(claims: Iterable[Behaviour]) -> list[Behaviour]:
    """Claims that name a group before those of a campaign, a malware, nobody; newest first."""
    return sorted(claims, key=_order)


def ranked_procedures(scope: str, claims: Iterable[Behaviour], limit: int) -> tuple[str, ...]:
    """The distinct procedures that tell most about the scope, best first."""
    best = sorted(
        {claim.procedure: None for claim in by_rank(claims) if claim.procedure},
        key=lambda text: (-_fit(scope, text), -_concrete(text)),
    )
    return tuple(best[:limit])


def _order(claim: Behaviour) -> tuple[int, float, str, str]:
    rank = _RANK.index(claim.actor_type) if claim.actor_type in _RANK else len(_RANK)
    return (rank, -dated(claim).timestamp(), claim.actor, claim.procedure)


def _leading(scope: str, ranked: Sequence[Behaviour]) -> list[Behaviour]:
    """The same, with the claim first that tells a hunter most: for the scope, and concretely."""
    told = [claim for claim in ranked if claim.procedure]
    if not told:
        return list(ranked)
    best = min(told, key=lambda claim: (-_fit(scope, claim.procedure), -_concrete(claim.procedure)))
    return [best, *(claim for claim in ranked if claim is not best)]


def _who(ranked: Sequence[Behaviour]) -> str:
    names = list(dict.fromkeys(claim.actor for claim in ranked if claim.actor))
    if not names:
        return _nobody(ranked)
    others = len(names) - 1
    more = f" (and {names[1]})" if others == 1 else f" (and {others} others)" if others else ""
    lead = next(claim for claim in ranked if claim.actor)
    return f"{_actor(lead)}{more}"


def _actor(lead: Behaviour) -> str:
    match lead.actor_type:
        case "campaign":
            return f"The actor behind {lead.actor}"
        case "malware":
            return f"The malware {lead.actor}"
        case "tool":
            return f"A user of the tool {lead.actor}"
        case _:
            return lead.actor


def _nobody(ranked: Sequence[Behaviour]) -> str:
    if all(claim.own for claim in ranked):
        return "The intruder of our own incident"
    reports = sorted(
        (s for c in ranked for s in c.sources if s.object_type in {"report", "grouping"}),
        key=lambda source: (-source.modified.timestamp(), source.object_id),
    )
    if not reports:
        return "An adversary"
    names = list(dict.fromkeys(source.name for source in reports))
    also = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f'An adversary, as reported in "{shorten(names[0], 90)}"{also},'


def _what(technique_id: str, scope: str, catalogue: Catalogue) -> str:
    where = PLACES.get(scope, f"our {scope} systems")
    phrase = PHRASES.get(technique_id, "")
    if phrase:
        return phrase.replace("{where}", where)
    name = catalogue.name(technique_id)
    technique = catalogue.technique(technique_id)
    tactic = technique.tactics[0] if technique and technique.tactics else ""
    if tactic not in TACTICS:
        return f'uses "{name}" on {where}'
    return f'{TACTICS[tactic].replace("{where}", where)} with the technique "{name}"'


def _how(ranked: Sequence[Behaviour]) -> str:
    """The procedure to quote: that of the first claim."""
    return _lower_start(first_sentence(ranked[0].procedure))


def _lower_start(sentence: str) -> str:
    """The sentence with a small first letter where it starts with "Registering ..."."""
    lowered = sentence[:1].lower() + sentence[1:]
    return lowered if _UPPER_START.match(sentence) and _GERUND.match(lowered) else sentence


@lru_cache(maxsize=8192)
def _concrete(text: str) -> int:
    """How many things a procedure names that can be searched for; more than four are as good."""
    return min(len({found.casefold() for found in _NAMED.findall(first_sentence(text))}), 4)


@lru_cache(maxsize=8192)
def _fit(scope: str, text: str) -> int:
    """How well a procedure fits the scope: 2 names it, 1 none, 0 only others, -1 is beside."""
    if _POINTING.search(text):
        return -1
    if scope in _SIGNS and _SIGNS[scope].search(text):
        return 2
    return 0 if _ANY_SIGN.search(text) else 1
