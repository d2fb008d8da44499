r"""Scheduled-task definitions: what a task runs, as whom, and when, read from its XML.

Format: MS-TSCH task schema, as carried by Security 4698 (TaskContent) and 4702 (TaskContentNew)
and by the files under System32\Tasks.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from huntonce.models.errors import DomainError

MAX_TASK_XML = 1_048_576
"""Longest task XML read, in characters; Windows itself refuses far smaller ones."""

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]{0,200}\?>")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """What a task's XML says; an element that is not there is an empty text.

    Attributes:
        triggers: Element names without the namespace ("TimeTrigger", "LogonTrigger").
        actions: Command and arguments of every Exec action, in order.
        com_handlers: Class ids of ComHandler actions.
    """

    author: str = ""
    uri: str = ""
    description: str = ""
    date: str = ""
    user_id: str = ""
    run_level: str = ""
    logon_type: str = ""
    hidden: bool = False
    triggers: tuple[str, ...] = ()
    actions: tuple[tuple[str, str], ...] = ()
    com_handlers: tuple[str, ...] = ()


def unescape_task(text: str) -> str:
    """The XML itself where a collector escaped it (``&lt;Task``); any other text as it is."""
    head = text[:200].lstrip()
    return html.unescape(text) if head.startswith("&lt;") else text


def parse_task(text: str) -> TaskDefinition:
    """The definition in a task's XML text, escaped or not.

    Raises:
        DomainError: It is too long, is not XML, declares a DTD or entities, or is no task.
    """
    if len(text) > MAX_TASK_XML:
        raise DomainError(f"the task XML is longer than {MAX_TASK_XML} characters")
    root = _parse(unescape_task(text))
    if _name(root) != "Task":
        raise DomainError(f"the XML is a {_name(root)[:80]!r}, not a Task")
    return _definition(root)


def _parse(xml: str) -> Element:
    # The text declares UTF-16 although it is already decoded, which the parser may refuse.
    body = _DECLARATION.sub("", xml).strip().rstrip("\x00")
    try:
        root: Element = ElementTree.fromstring(body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DomainError("the task XML declares a DTD or entities, which no task has") from error
    except (ParseError, ValueError) as error:
        raise DomainError(f"the task XML is not well formed: {error}") from error
    return root


def _definition(root: Element) -> TaskDefinition:
    actions = _child(root, "Actions")
    principal = _first(_child(root, "Principals"), "Principal")
    return TaskDefinition(
        author=_text(_child(root, "RegistrationInfo"), "Author"),
        uri=_text(_child(root, "RegistrationInfo"), "URI"),
        description=_text(_child(root, "RegistrationInfo"), "Description"),
        date=_text(_child(root, "RegistrationInfo"), "Date"),
        user_id=_text(principal, "UserId") or _text(principal, "GroupId"),
        run_level=_text(principal, "RunLevel"),
        logon_type=_text(principal, "LogonType"),
        hidden=_text(_child(root, "Settings"), "Hidden").lower() in {"true", "1"},
        triggers=tuple(_name(trigger) for trigger in _children(_child(root, "Triggers"))),
        actions=tuple(
            (_text(action, "Command"), _text(action, "Arguments"))
            for action in _children(actions, "Exec")
        ),
        com_handlers=tuple(_text(action, "ClassId") for action in _children(actions, "ComHandler")),
    )


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(parent: Element | None, name: str = "") -> Iterator[Element]:
    return (child for child in parent or () if not name or _name(child) == name)


def _first(parent: Element | None, name: str) -> Element | None:
    return next(_children(parent, name), None)


def _child(parent: Element, name: str) -> Element | None:
    return _first(parent, name)


def _text(parent: Element | None, name: str) -> str:
    found = _first(parent, name)
    return (found.text or "").strip() if found is not None else ""
