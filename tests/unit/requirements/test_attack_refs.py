"""What ATT&CK's log-source references are read as, and that no text breaks the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.attack import LogSource, load_catalogue
from huntonce.models.requirements.refs import MAX_IDS, MAX_TEXT, RefState, parse


def read(name: str, channel: str) -> list[tuple[str, str, tuple[int, ...]]]:
    refs = parse(LogSource(name=name, channel=channel, component="DC0001"))
    return [(ref.state.value, ref.channel, ref.event_ids) for ref in refs]


@pytest.mark.parametrize(
    ("name", "channel", "expected"),
    [
        (
            "WinEventLog:Security",
            "EventCode=4624, 4648",
            [("parsed", "Security", (4624, 4648))],
        ),
        (
            "WinEventLog:Sysmon",
            "EventCode=13, 14",
            [("parsed", "Microsoft-Windows-Sysmon/Operational", (13, 14))],
        ),
        (
            "WinEventLog:PowerShell",
            "EventCode=400, 4104",
            [
                ("parsed", "Microsoft-Windows-PowerShell/Operational", (4104,)),
                ("parsed", "Windows PowerShell", (400,)),
            ],
        ),
        ("WinEventLog:Security", "EventCode=4103", [("suspect", "Security", (4103,))]),
        ("WinEventLog:System", "EventCode=106, 200", [("suspect", "System", (106, 200))]),
        (
            "WinEventLog:Security",
            "EventCode=4769, 1200",
            [("parsed", "Security", (4769,)), ("suspect", "Security", (1200,))],
        ),
        ("WinEventLog:Kerberos", "EventCode=4769", [("suspect", "", (4769,))]),
        ("WinEventLog:Security", "Device Object Creation", [("free_text", "", ())]),
        ("auditd:SYSCALL", "execve", [("free_text", "", ())]),
        ("linux:Sysmon", "EventCode=1", [("parsed", "Linux-Sysmon/Operational", (1,))]),
    ],
)
def test_a_reference_is_believed_only_where_channel_and_id_belong_together(
    name: str, channel: str, expected: list[tuple[str, str, tuple[int, ...]]]
) -> None:
    assert read(name, channel) == expected


@given(
    st.sampled_from(("", "WinEventLog:Security", "WinEventLog:", "wineventlog:Sysmon", "x"))
    | st.text(),
    st.text() | st.from_regex(r"(EventCode *= *[0-9]{1,8}( *, *[0-9]{1,8}){0,60}.?){1,5}"),
)
def test_any_text_is_answered_and_bounded(name: str, channel: str) -> None:
    refs = parse(LogSource(name=name, channel=channel, component=""))

    assert refs
    for ref in refs:
        assert len(ref.name) <= MAX_TEXT
        assert len(ref.text) <= MAX_TEXT
        assert len(ref.event_ids) <= MAX_IDS
        assert all(0 <= i < 65_536 for i in ref.event_ids)
        assert bool(ref.event_ids) is (ref.state is not RefState.FREE_TEXT)
        assert bool(ref.why) is (ref.state is RefState.SUSPECT)


def test_most_windows_references_of_the_shipped_attack_are_parsed() -> None:
    states = [
        ref.state
        for analytics in load_catalogue().analytics.values()
        for analytic in analytics
        if analytic.platforms == ("Windows",)
        for source in analytic.log_sources
        if source.name.startswith("WinEventLog:")
        for ref in parse(source)
    ]

    assert states.count(RefState.PARSED) / len(states) > 0.85
    assert states.count(RefState.SUSPECT) < 40
