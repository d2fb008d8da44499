"""Rules of a rule pack, as far as a hunt needs to know them: their tags, and what they hit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


RULE_FIELDS = (
    "Image", "CommandLine", "ParentImage", "ParentCommandLine", "OriginalFileName", "User",
    "SubjectDomainName", "SubjectUserName", "SubjectUserSid", "TargetUserName", "LogonId",
    "SubjectLogonId", "ProcessGuid", "ParentProcessGuid", "ProcessId", "ParentProcessId",
    "SourceImage", "TargetImage", "GrantedAccess", "TargetObject", "Details", "TargetFilename",
    "ImageLoaded", "PipeName", "ServiceName", "ImagePath", "ScriptBlockText", "Payload",
    "DestinationIp", "DestinationHostname", "QueryName", "IpAddress", "ShareName",
    "RelativeTargetName", "ObjectName", "TaskName",
)  # fmt: skip
"""Event fields that are projected of what a rule matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMatches:
    """One rule that matched.

    Attributes:
        table: ``EVENT_COLUMNS`` and ``RULE_FIELDS``.
        query: As sent.
        truncated: More events matched than were fetched.
    """

    id: str
    title: str
    level: str
    author: str
    falsepositives: tuple[str, ...]
    table: "pa.Table"
    query: str
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleUnseen:
    """A rule that could not look: nothing can be concluded from its silence."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLook:
    """What the rules of one technique say of a window.

    Attributes:
        rules: How many are tagged with it.
        silent: How many looked and matched nothing.
        unseen: Those that could not look, wholly or in some of their sources.
    """

    rules: int
    silent: int
    matches: tuple[RuleMatches, ...] = ()
    unseen: tuple[RuleUnseen, ...] = ()
