"""Asking a SIEM for what one Sigma rule matches, be it of a folder or received."""

from huntonce.models.errors import DomainError, TerminalError
from huntonce.models.ports import Siem
from huntonce.models.rules import RULE_FIELDS, RuleMatches, RuleText, RuleUnseen
from huntonce.models.windows import Window


def ask_rule(siem: Siem, rule: RuleText, window: Window) -> RuleMatches | RuleUnseen:
    """What a rule matches, or why it could not look; a table without rows: it looked in vain.

    Raises:
        TransientError: The SIEM did not answer.
    """
    if rule.fault:
        return RuleUnseen(title=rule.title, reason=rule.fault)
    try:
        result = siem.search_rule(rule.text, window, RULE_FIELDS)
    except (TerminalError, DomainError) as error:
        return RuleUnseen(title=rule.title, reason=f"{siem.name} cannot run it: {error}")
    if not result.table.num_rows and (result.absent_source or result.absent_fields):
        reason = ", ".join(result.absent_fields) or "no event of its log source"
        return RuleUnseen(title=rule.title, reason=f"not there: {reason}")
    return RuleMatches(
        id=rule.id,
        title=rule.title,
        level=rule.level,
        author=rule.author,
        falsepositives=rule.falsepositives,
        table=result.table,
        query="\n".join(result.queries),
        truncated=result.truncated,
    )
