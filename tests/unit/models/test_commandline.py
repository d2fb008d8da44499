"""Command lines that register tasks."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from huntonce.models.analytics.commandline import (
    MAX_LENGTH,
    registered_task,
    split_action,
    tokens,
)


def facts(**values: str) -> dict[str, str]:
    return {"event": "created", **values}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "schtasks /create /tn Updater /tr C:\\a.exe /sc onlogon /ru SYSTEM",
            facts(task="Updater", action="C:\\a.exe", trigger="onlogon", run_as="SYSTEM"),
        ),
        (
            r'"C:\Windows\System32\schtasks.exe" /CREATE /F /TN "My Task" /TR "cmd /c \"x y\" -q"',
            facts(task="My Task", action="cmd /c 'x y' -q"),
        ),
        ("schtasks -create -tn a -tr b -s HOST2", facts(task="a", action="b", target="HOST2")),
        (
            'cmd.exe /c schtasks /create /tn "a b" /tr "powershell -c 1"',
            facts(task="a b", action="powershell -c 1"),
        ),
        (
            r'cmd /c "schtasks /create /tn x /tr \"y z\" /s HOST2"',
            facts(task="x", action="y z", target="HOST2"),
        ),
        (
            "powershell -c \"schtasks /create /tn 'a b' /tr 'c d'\"",
            facts(task="a b", action="c d"),
        ),
        ("schtasks /change /tn x /tr y", facts(event="updated", task="x", action="y")),
        ("schtasks /create /xml C:\\t.xml /tn x", facts(task="x")),
        ("schtasks /create /tn a /tn b /tr c", facts(task="a", action="c")),
        (
            (
                "Register-ScheduledTask -TaskName 'Up Date' -User SYSTEM "
                "-Action (New-ScheduledTaskAction -Execute calc.exe)"
            ),
            facts(task="Up Date", action="calc.exe", run_as="SYSTEM"),
        ),
        ('Set-ScheduledTask -TaskName "a b"', facts(event="updated", task="a b")),
        ("Register-ScheduledTask $x", facts(action="Register-ScheduledTask $x")),
    ],
)
def test_a_registration_is_read_however_it_is_quoted(line: str, expected: dict[str, str]) -> None:
    assert registered_task(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "schtasks",
        "schtasks /query /tn create",
        "schtasks /delete /tn x /f",
        "schtasks /run /tn x",
        "schtasks /create",
        'schtasks /create "',
        "notepad.exe /create /tn x",
        "Get-ScheduledTask -TaskName x",
        "echo Unregister-ScheduledTask",
    ],
)
def test_what_registers_nothing_is_none(line: str) -> None:
    assert registered_task(line) is None


def test_only_as_much_as_windows_allows_is_read() -> None:
    far = "schtasks /create /tn x " + "a" * MAX_LENGTH + " /tr y"

    assert registered_task(far) == facts(task="x")
    assert sum(map(len, tokens("b " * MAX_LENGTH))) <= MAX_LENGTH


WORDS = ("schtasks", "/create", "/tn", "/tr", "'", '"', '\\"', " ", "\n", "x y", "cmd /c", "\x00")
PIECES = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=30).map("".join)


@given(PIECES | PIECES.map(lambda text: f"cmd /c schtasks /create {text}"))
@example('schtasks /create "schtasks /create "schtasks /create')
@example("Register-ScheduledTask -TaskName '")
def test_no_command_line_makes_it_crash_or_grow(line: str) -> None:
    found = registered_task(line)

    if found is not None:
        assert {"task", "action"} & set(found)
        assert all(len(value) <= len(line) for name, value in found.items() if name != "event")


@given(st.from_regex(r"[A-Za-z0-9\\ ._-]{1,30}", fullmatch=True).filter(lambda t: t == t.strip()))
def test_a_quoted_name_comes_back_as_it_was(name: str) -> None:
    name = name.rstrip("\\") or "x"

    found = registered_task(f'schtasks /create /sc daily /tn "{name}" /tr "C:\\x.exe"')

    assert found is not None
    assert found["task"] == name


@pytest.mark.parametrize(
    ("action", "parts"),
    [
        ('"C:\\a b\\x.exe" -q 1', ("C:\\a b\\x.exe", "-q 1")),
        ("'C:\\a b\\x.exe' -q", ("C:\\a b\\x.exe", "-q")),
        ("cmd /c dir", ("cmd", "/c dir")),
        ("calc.exe", ("calc.exe", "")),
        ('"unclosed', ('"unclosed', "")),
        ("", ("", "")),
    ],
)
def test_an_action_is_a_program_and_its_arguments(action: str, parts: tuple[str, str]) -> None:
    assert split_action(action) == parts
