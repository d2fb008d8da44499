"""Rules from what events share: general enough, firm enough, or honestly none."""

from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.sigma.rules import validate_rule
from huntonce.models.behaviours import BEHAVIOURS, EVENT_KINDS, Behaviour, Row
from huntonce.models.detecting import sigma_rule
from huntonce.models.generalising import Generalised, generalise, kind_of
from tests.support.builders import definition
from tests.support.kits import EVIL_LINE, catalogue, task_xml

SYSMON = "Microsoft-Windows-Sysmon/Operational"
PERSON = "S-1-5-21-1-2-3-1001"


def made_of(channel: str, event_id: int, *rows: Row) -> Generalised:
    kind = kind_of(channel, event_id)
    assert kind is not None
    return generalise(kind, rows)


def task(line: str, sid: str = PERSON) -> Row:
    return {"TaskContent": task_xml(line), "SubjectUserSid": sid}


def written(made: Generalised) -> str:
    assert made.template is not None
    return sigma_rule(
        made.template,
        definition(),
        tactics=("execution",),
        references=("https://example.org/a",),
        author="Us",
        today=date(2026, 3, 2),
    )


def test_a_rule_keeps_behaviour_and_drops_names_and_paths() -> None:
    made = made_of(
        "Security",
        4698,
        task(EVIL_LINE),
        task("C:\\Windows\\System32\\pwsh.exe /enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoA"),
    )

    rule = written(made)
    detection = yaml.safe_load(rule)["detection"]

    assert validate_rule(rule, catalogue()) == ()
    assert detection["selection_event"] == {
        "EventID": 4698,
        "SubjectUserSid|startswith": ["S-1-5-21-", "S-1-12-1-"],
    }
    assert {"selection_encoded", "selection_interpreter", "selection_system"} <= set(detection)
    for literal in ("JABhAD", "SQBFAF", "System32", "-nop", PERSON):
        assert literal not in rule


def test_what_only_some_events_show_is_not_in_the_rule() -> None:
    made = made_of(
        "Security", 4698, task(EVIL_LINE), task("powershell.exe -w hidden https://x.example/a")
    )

    assert made.template is not None
    assert "selection_encoded" not in made.template.detection
    assert "selection_interpreter" in made.template.detection


def test_events_that_share_nothing_firm_give_a_reason_and_no_rule() -> None:
    made = made_of("Security", 4688, {"CommandLine": "tool.exe -a", "Image": "C:\\x\\tool.exe"})

    assert made.template is None
    assert "share nothing that an attacker could not change freely" in made.reason


def test_a_weak_behaviour_alone_makes_no_rule() -> None:
    made = made_of(SYSMON, 11, {"TargetFilename": "C:\\Users\\Public\\a.txt", "Image": "C:\\a.exe"})

    assert made.template is None
    assert "user-writable folder" in made.reason


def test_a_process_rule_names_the_programs_of_windows_that_took_part() -> None:
    row = {
        "CommandLine": "powershell -enc JABhAD0AMQAyADMANAA1ADYA",
        "Image": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
        "ParentImage": "C:\\Windows\\System32\\wbem\\WmiPrvSE.exe",
    }
    made = made_of(SYSMON, 1, row, {**row, "CommandLine": "powershell -e JABhAD0AMQAyADMANAA1AD"})

    rule = yaml.safe_load(written(made))

    assert rule["logsource"] == {"product": "windows", "category": "process_creation"}
    assert rule["detection"]["selection_parent"] == {"ParentImage|endswith": "\\wmiprvse.exe"}
    assert "EventID" not in str(rule["detection"])
    assert validate_rule(written(made), catalogue()) == ()


def test_no_events_no_rule() -> None:
    assert made_of("Security", 4698).template is None


def test_other_kinds_of_event_are_not_known() -> None:
    assert kind_of("Security", 4624) is None
    assert all(kind_of(kind.channel.upper(), kind.event_ids[0]) is kind for kind in EVENT_KINDS)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_no_text_of_an_event_ever_gets_into_a_rule(texts: list[str]) -> None:
    marked = [f"{text} QQ7Z powershell -enc {'A' * 24} https://h/QQ7Z" for text in texts]
    made = made_of(SYSMON, 1, *({"CommandLine": text, "Image": "C:\\QQ7Z.exe"} for text in marked))

    assert made.template is not None
    assert "QQ7Z" not in written(made)


@pytest.mark.parametrize("one", BEHAVIOURS, ids=lambda one: f"{one.name}-{min(one.sorts)}")
def test_every_behaviour_is_a_sound_selection(one: Behaviour) -> None:
    rule = yaml.safe_dump(
        {
            "title": "A Behaviour",
            "id": "2f6a8c1e-0000-4000-8000-00000000abcd",
            "status": "experimental",
            "logsource": {"product": "windows", "category": "process_creation"},
            "detection": {"selection": one.selection("CommandLine"), "condition": "selection"},
            "level": "low",
        }
    )
    assert validate_rule(rule) == ()
    assert not one.shown_by("")
