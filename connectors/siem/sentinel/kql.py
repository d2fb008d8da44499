"""The Kusto Query Language as far as it is written here: literals, names, and what holds of events.

Nothing reaches a query but through ``text``, ``number``, ``moment`` and ``name``. The literals'
escapes are those of https://learn.microsoft.com/kusto/query/scalar-data-types/string.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from huntonce.connectors.siem.textual import AllOf, AnyOf, Contains, HasId, NoneOf, Question
from huntonce.models.errors import DomainError
from huntonce.models.windows import Window

TIME = "TimeGenerated"

_PIECE = re.compile(r"[A-Za-z0-9 _\-./=()$%@!#*?;:,~^|]+")
"""Characters that stand for themselves in every JSON that .NET writes, and in XML."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PLAIN = frozenset(chr(code) for code in range(0x20, 0x7F)) - frozenset('"\\')
_BMP = 0xFFFF
_SURROGATES = range(0xD800, 0xE000)
_TOKENS = re.compile(
    r"""(?P<space>\s+)|(?P<comment>//[^\r\n]*)
    |(?P<text>[hH]?(?:@"(?:[^"]|"")*"|@'(?:[^']|'')*'
        |"(?:[^"\\\r\n]|\\[^\r\n])*"|'(?:[^'\\\r\n]|\\[^\r\n])*'))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*~?)|(?P<number>[0-9]+(?:\.[0-9]+)?[a-z]*)
    |(?P<mark>[|()\[\],.*+/%-]|==|=~|=|!=|!~|<=|>=|<|>)""",
    re.VERBOSE,
)


def text(value: str) -> str:
    """A text as a literal of one line, printable ASCII; a lone surrogate is the mark for none."""
    return f'"{"".join(_escaped(character) for character in value)}"'


def number(value: int) -> str:
    """A whole number as a literal."""
    return str(int(value))


def moment(value: datetime) -> str:
    """A time, to the microsecond, as a literal."""
    return f"datetime({value.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%f')}Z)"


def name(value: str) -> str:
    """A column's name, quoted.

    Raises:
        DomainError: It is none that a table here can have.
    """
    if not _NAME.fullmatch(value):
        raise DomainError(f"{value[:80]!r} is no name of a column")
    return f'["{value}"]'


def inside(window: Window) -> str:
    """The events of a window."""
    return f"{TIME} >= {moment(window.start)} and {TIME} < {moment(window.end)}"


def either(column: str, values: Sequence[int]) -> str:
    """A whole number is one of some."""
    return f"{column} in ({', '.join(number(value) for value in values)})"


def pieces(value: str) -> list[str]:
    """The parts of a text that every encoding leaves as they are."""
    return [found for found in _PIECE.findall(value) if found.strip()]


def folded(expression: str) -> str:
    """A text, letters in lower case, with the two others whose lower case is an ASCII letter."""
    return f'tolower(translate("\\u212a\\u0130", "ki", {expression}))'


def question(asked: Question, text_column: str, id_column: str) -> str:
    """A question to an event's folded text as a predicate."""
    match asked:
        case HasId(wanted):
            return f"{id_column} == {number(wanted)}"
        case Contains(found):
            tests = [f"{text_column} contains_cs {text(piece)}" for piece in found]
            return f"({' and '.join(tests)})"
        case NoneOf(item):
            return f"not({question(item, text_column, id_column)})"
        case AllOf(items):
            return f"({' and '.join(question(one, text_column, id_column) for one in items)})"
        case AnyOf(items):
            return f"({' or '.join(question(one, text_column, id_column) for one in items)})"
        case bool():
            return "true" if asked else "false"


def tokens(query: str) -> Iterator[tuple[str, str]]:
    """Kind and text of every token of a query: space, comment, text, word, number or mark.

    Raises:
        DomainError: Something in it is none of these, such as a literal without an end.
    """
    at = 0
    while at < len(query):
        found = _TOKENS.match(query, at)
        if found is None or found.lastgroup is None:
            raise DomainError(f"the query cannot be read from character {at}")
        yield found.lastgroup, found.group()
        at = found.end()


def _escaped(character: str) -> str:
    if character in _PLAIN:
        return character
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if code in _SURROGATES:
        code = 0xFFFD
    return f"\\u{code:04x}" if code <= _BMP else f"\\U{code:08x}"
