"""Windows command lines: split as the C runtime splits them, and the tasks that they register."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+')
_INNER_TOKEN = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")
_VERB = re.compile(r"(?i)(?:^|[\s\"'])[/-](create|change)(?=[\s\"']|$)")
_CMDLET = re.compile(r"(?i)\b(?:(register|set)-scheduledtask|new-scheduledtaskaction)\b")
_PARAMETER = {
    "task": re.compile(r"(?i)-taskname\s+(?:'([^']*)'|\"([^\"]*)\"|([^\s;|)]+))"),
    "action": re.compile(r"(?i)-execute\s+(?:'([^']*)'|\"([^\"]*)\"|([^\s;|)]+))"),
    "run_as": re.compile(r"(?i)-user(?:id)?\s+(?:'([^']*)'|\"([^\"]*)\"|([^\s;|)]+))"),
}
_SWITCHES = {"tn": "task", "tr": "action", "ru": "run_as", "s": "target", "sc": "trigger"}
MAX_LENGTH = 32_768
MAX_DEPTH = 3
"""Shells within shells that are followed."""


def tokens(command_line: str) -> tuple[str, ...]:
    """Arguments of a command line, quotes removed; bounded to Windows' own longest line."""
    return tuple(
        match.group(0).replace('"', "") for match in _TOKEN.finditer(command_line[:MAX_LENGTH])
    )


def registered_task(command_line: str) -> dict[str, str] | None:
    """Facts of a task that a command line registers or changes; None where it does neither.

    Understands ``schtasks /create|/change`` (also inside ``cmd /c``, quoted or not) and the
    ScheduledTasks cmdlets as far as they are spelled out. Keys: event (created, updated), task,
    action, run_as, target, trigger.
    """
    text = command_line[:MAX_LENGTH]
    verb = _VERB.search(text) if "schtasks" in text.casefold() else None
    if verb is not None:
        facts = _schtasks([word.replace('"', "") for word in _TOKEN.findall(_unescape(text))])
        if "task" not in facts and "action" not in facts:
            return None
        return {"event": "updated" if verb.group(1).casefold() == "change" else "created", **facts}
    cmdlet = _CMDLET.search(text)
    if cmdlet is None:
        return None
    facts = {}
    for name, pattern in _PARAMETER.items():
        found = pattern.search(text)
        if found:
            facts[name] = next(group for group in found.groups() if group is not None)
    changes = (cmdlet.group(1) or "").casefold() == "set"
    return {"event": "updated" if changes else "created", **(facts or {"action": text})}


def _schtasks(words: list[str], depth: int = 0) -> dict[str, str]:
    """Switches of the schtasks call among the words of a line, or inside one of them."""
    facts: dict[str, str] = {}
    for switch, value in _pairs(words):
        if switch in _SWITCHES and _SWITCHES[switch] not in facts:
            facts[_SWITCHES[switch]] = value
    if "task" in facts or depth >= MAX_DEPTH:
        return facts
    for word in words:
        # A whole call in one quoted argument, as shells are given it.
        if "schtasks" in word.casefold() and _VERB.search(word):
            inner = [_bare(one) for one in _INNER_TOKEN.findall(word)]
            if len(inner) > 1:
                return _schtasks(inner, depth + 1) or facts
    return facts


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    for index, word in enumerate(words):
        if word[:1] in {"/", "-"} and index + 1 < len(words):
            yield word[1:].casefold(), words[index + 1]


def _bare(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] == "'" else word.replace('"', "")


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


_PASSWORD = re.compile(r"""(?i)((?:^|\s)(?:[/-](?:rp|p)|-password)\s+)("[^"]*"|'[^']*'|\S+)""")


def redacted(command_line: str) -> str:
    """A command line without the passwords of schtasks' /p and /rp and of -Password."""
    return _PASSWORD.sub(r"\1***", command_line)
