"""Windows command lines: split as the C runtime splits them, and schtasks' switches."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+')
_CREATE = re.compile(r"(?i)(?:^|[\s\"])[/-]create(?:[\s\"]|$)")
_CHANGE = re.compile(r"(?i)(?:^|[\s\"])[/-]change(?:[\s\"]|$)")
_CMDLET = re.compile(r"(?i)\b(?:register|set)-scheduledtask\b|\bnew-scheduledtaskaction\b")
_PARAMETER = {
    "task": re.compile(r"(?i)-taskname\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))"),
    "action": re.compile(r"(?i)-execute\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))"),
    "run_as": re.compile(r"(?i)-user(?:id)?\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))"),
}
MAX_LENGTH = 32_768


def tokens(command_line: str) -> tuple[str, ...]:
    """Arguments of a command line, quotes removed; bounded to Windows' own longest line."""
    return tuple(
        match.group(0).replace('"', "") for match in _TOKEN.finditer(command_line[:MAX_LENGTH])
    )


def _switches(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for index, word in enumerate(words):
        if word[:1] in "/-" and index + 1 < len(words):
            yield word[1:].casefold(), words[index + 1]


def registered_task(command_line: str) -> dict[str, str] | None:
    """Facts of a task that a command line registers or changes; None where it does neither.

    Understands ``schtasks /create|/change`` (also inside ``cmd /c``) and the ScheduledTasks
    cmdlets as far as they are spelled out. Keys: task, action, run_as, target, trigger.
    """
    text = command_line[:MAX_LENGTH]
    if "schtasks" in text.casefold() and (_CREATE.search(text) or _CHANGE.search(text)):
        names = {"tn": "task", "tr": "action", "ru": "run_as", "s": "target", "sc": "trigger"}
        facts: dict[str, str] = {}
        for switch, value in _switches(tokens(_unescape(text))):
            if switch in names and names[switch] not in facts:
                facts[names[switch]] = value
        return facts if "task" in facts or "action" in facts else None
    if _CMDLET.search(text):
        facts = {}
        for name, pattern in _PARAMETER.items():
            found = pattern.search(text)
            if found:
                facts[name] = next(group for group in found.groups() if group is not None)
        return facts or {"action": text}
    return None


def _unescape(text: str) -> str:
    return text.replace('\\"', "'")


def split_action(action: str) -> tuple[str, str]:
    """Program and arguments of a ``/tr`` value or a task's action in one string."""
    stripped = action.strip()
    if stripped.startswith(('"', "'")):
        quote = stripped[0]
        end = stripped.find(quote, 1)
        if end > 0:
            return stripped[1:end], stripped[end + 1 :].strip()
    program, _, rest = stripped.partition(" ")
    return program, rest.strip()
