"""What a desk is told, as a page in blocks, and its text in each product's markup.

Everything in it may have been written by an attacker (a command line, a task's name) or by
whoever wrote the intel. What is data is shown as data: in code blocks and code spans whose fences
it cannot close. What is a sentence with data in it has its markup escaped, and names nobody,
refers to nothing and links nowhere.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from huntonce.models.report.markdown import code as fenced

TITLE_LIMIT = 250
"""Characters of a title; Jira takes 255, GitHub 256."""
MAX_SPAN = 500
MAX_CODE = 6_000
_JOINER = "\u2060"  # invisible, no width: it separates what a product would put together
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
    "|[\ud800-\udfff]"
)


class Shape(StrEnum):
    """How a block is shown."""

    HEADING = "heading"
    TEXT = "text"
    FACT = "fact"
    LINK = "link"
    ITEM = "item"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        text: The words; for a fact its name, which is ours.
        value: Data, shown as it is; of facts and items. For a link an address of the settings.
    """

    shape: Shape
    text: str = ""
    value: str = ""


Markup = Callable[[Block], str]


def visible(text: str) -> str:
    """Text in which every control, bidirectional or invisible character is spelled out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HIDDEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def line(text: str, limit: int = MAX_SPAN) -> str:
    """Visible text on one line, cut at a limit."""
    one = " ".join(visible(text).split())
    return one if len(one) <= limit else f"{one[: limit - 1]}…"


def title(text: str) -> str:
    """A title that names nobody."""
    return line(text, TITLE_LIMIT - 20).replace("@", f"@{_JOINER}")[:TITLE_LIMIT]


def tame(text: str) -> str:
    """Visible text in which no name, reference or address is acted upon."""
    text = re.sub(r"(?<=[@#])(?=\w)", _JOINER, visible(text))
    text = re.sub(r"(?<=:)(?=//)|(?<=\bwww)(?=\.)", _JOINER, text, flags=re.IGNORECASE)
    return re.sub(r"(?<=mailto)(?=:)", _JOINER, text, flags=re.IGNORECASE)


def render(blocks: Sequence[Block], markup: Markup, limit: int, tail: str = "") -> str:
    """The page, at most ``limit`` UTF-16 units long; what does not fit is said to be left out.

    ``tail`` is put last whatever was left out.
    """
    room = limit - _units(tail) - 200
    parts: list[str] = []
    for index, block in enumerate(blocks):
        text = markup(block)
        room -= _units(text) + 1
        if room < 0:
            left = len(blocks) - index
            more = Block(Shape.TEXT, f"{left} more lines are left out here; Huntonce shows all.")
            parts.append(markup(more))
            break
        parts.append(text)
    return "\n".join([*parts, *([tail] if tail else [])])


def _units(text: str) -> int:
    """Length as the products count: some in characters, some in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


# ---------------------------------------------------------------- Markdown


def markdown(block: Block) -> str:
    """A block in Markdown (CommonMark, GFM)."""
    if block.shape is Shape.HEADING:
        return f"\n### {_plain_md(block.text)}\n"
    if block.shape is Shape.FACT:
        return f"- **{_plain_md(block.text)}**: {span_md(block.value)}"
    if block.shape is Shape.LINK:
        return f"- **{_plain_md(block.text)}**: <{block.value}>"
    if block.shape is Shape.ITEM:
        return f"- {span_md(block.value)}" + (f" {_plain_md(block.text)}" if block.text else "")
    if block.shape is Shape.CODE:
        return f"\n{fenced(visible(block.text)[:MAX_CODE])}\n"
    return f"\n{_plain_md(block.text)}\n"


def span_md(text: str) -> str:
    """A code span that holds the text whatever is in it."""
    body = line(text) or "-"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", body)), default=0))
    pad = " " if body.startswith("`") or body.endswith("`") else ""
    return f"{fence}{pad}{body}{pad}{fence}"


def _plain_md(text: str) -> str:
    one = tame(" ".join(visible(text).split()))[:MAX_CODE]
    # CommonMark: every ASCII punctuation character may be escaped by a backslash.
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", one)


# ---------------------------------------------------------------- Jira wiki markup


def wiki(block: Block) -> str:
    """A block in Jira's wiki markup."""
    if block.shape is Shape.HEADING:
        return f"\nh3. {_plain_wiki(block.text)}\n"
    if block.shape is Shape.FACT:
        return f"* {_plain_wiki(block.text)}: {_plain_wiki(line(block.value) or '-')}"
    if block.shape is Shape.LINK:
        return f"* {_plain_wiki(block.text)}: [{block.value}]"
    if block.shape is Shape.ITEM:
        return f"* {_plain_wiki(' '.join(filter(None, (line(block.value) or '-', block.text))))}"
    if block.shape is Shape.CODE:
        return _raw_wiki(visible(block.text)[:MAX_CODE])
    return f"\n{_plain_wiki(block.text)}\n"


def _raw_wiki(text: str) -> str:
    # There is no escape inside; the macro ends at its own name in braces.
    body = re.sub(r"\{(?=\s*noformat)", "{" + _JOINER, text, flags=re.IGNORECASE)
    return f"{{noformat}}\n{body}\n{{noformat}}"


def _plain_wiki(text: str) -> str:
    one = tame(" ".join(visible(text).split()))[:MAX_CODE]
    # Two backslashes are a line break there, so a backslash is written as what it is in HTML; the
    # number sign of such an entity stands after an ampersand, and no other one does.
    one = re.sub(r"[&<>\\]", lambda found: f"&#{ord(found.group())};", one)
    return re.sub(r"(?<!&)#|[!*_?+^~{}\[\]|()\-\"@]", lambda found: f"\\{found.group()}", one)
