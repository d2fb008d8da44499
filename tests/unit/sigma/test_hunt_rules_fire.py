"""What the rules of the hunts say of task definitions as Windows writes them."""

from datetime import timedelta

import pytest

from huntonce.connectors.siem.memory import MemorySiem
from huntonce.models.windows import Window
from tests.support.builders import T0
from tests.support.kits import Event, library, registered, subject, task_xml
from tests.unit.sigma.test_generated_rules_are_mergeable import rule_of

DAY = Window(T0, T0 + timedelta(days=1))
ENCODED = "SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAKQA="


def fires(name: str, event: Event) -> bool:
    (found,) = [(hunt, t) for hunt in library().hunts for t in hunt.detections if t.name == name]
    return MemorySiem([event]).search_rule(rule_of(*found), DAY).table.num_rows == 1


@pytest.mark.parametrize(
    "line",
    [
        f"powershell.exe -enc {ENCODED}",
        f"powershell.exe -w hidden -EncodedCommand {ENCODED}",
        f"powershell.exe -NoP /e {ENCODED}",
        f"powershell.exe -w hidden -ec {ENCODED}",
        f'cmd.exe /c "powershell "-enco {ENCODED}""',
    ],
)
def test_encoded_arguments_are_found_wherever_they_stand(line: str) -> None:
    task = registered("PC1", T0 + timedelta(hours=1), "\\Any", task_xml(line), subject())

    assert fires("system-task-with-hidden-interpreter", task)


@pytest.mark.parametrize(
    "line",
    [
        "powershell.exe -ExecutionPolicy Bypass -File C:\\Tools\\inventory.ps1",
        "powershell.exe -file C:\\Tools\\pre-enc.ps1",
        f"powershell.exe -file C:\\Tools\\x-e {ENCODED}",
    ],
)
def test_arguments_that_only_look_alike_are_not(line: str) -> None:
    task = registered("PC1", T0 + timedelta(hours=1), "\\Any", task_xml(line), subject())

    assert not fires("system-task-with-hidden-interpreter", task)
