import contextlib
import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.errors import DomainError
from huntonce.models.taskxml import MAX_TASK_XML, TaskDefinition, parse_task

XML = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Author>CORP\\alice</Author><URI>\\Sync</URI><Date>2026-01-02T03:04:05</Date>
  </RegistrationInfo>
  <Triggers><TimeTrigger/><LogonTrigger/></Triggers>
  <Principals><Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel>
  <LogonType>Password</LogonType></Principal></Principals>
  <Settings><Hidden>true</Hidden></Settings>
  <Actions><Exec><Command>cmd.exe</Command><Arguments>/c a &amp; b</Arguments></Exec>
  <Exec><Command>two.exe</Command></Exec><ComHandler><ClassId>{1}</ClassId></ComHandler></Actions>
</Task>"""
WANTED = TaskDefinition(
    author="CORP\\alice",
    uri="\\Sync",
    date="2026-01-02T03:04:05",
    user_id="S-1-5-18",
    run_level="HighestAvailable",
    logon_type="Password",
    hidden=True,
    triggers=("TimeTrigger", "LogonTrigger"),
    actions=(("cmd.exe", "/c a & b"), ("two.exe", "")),
    com_handlers=("{1}",),
)


@pytest.mark.parametrize("text", [XML, html.escape(XML), "  " + XML, XML + "\x00"])
def test_a_definition_is_read_however_it_was_stored(text: str) -> None:
    assert parse_task(text) == WANTED


def test_an_empty_task_is_a_definition_of_nothing() -> None:
    assert parse_task("<Task/>") == TaskDefinition()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE t [<!ENTITY x "y">]><Task>&x;</Task>', "DTD"),
        ('<!DOCTYPE t SYSTEM "file:///etc/passwd"><Task/>', "DTD"),
        ("<Task>", "well formed"),
        ("", "well formed"),
        ("<Job/>", "not a Task"),
        ("<Task>" + "x" * MAX_TASK_XML + "</Task>", "longer"),
    ],
)
def test_what_is_no_task_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(DomainError, match=said):
        parse_task(text)


@given(st.text() | st.text().map(lambda text: f"<Task>{text}</Task>"))
def test_any_text_gives_a_task_or_a_domain_error(text: str) -> None:
    with contextlib.suppress(DomainError):
        assert isinstance(parse_task(text), TaskDefinition)
