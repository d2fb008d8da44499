"""How the worker of `huntonce serve` starts a run."""

import sys
from uuid import uuid4

from prefect.client.schemas.objects import FlowRun

from huntonce.flows.worker import AtOnce

ENGINE = f"{sys.executable} -m prefect.engine"


def prepared(command: str | None) -> AtOnce:
    made = AtOnce.model_validate({"command": command})
    made.prepare_for_flow_run(FlowRun(flow_id=uuid4()))
    return made


def test_a_run_starts_with_the_engine_itself() -> None:
    made = prepared(None)

    assert made.command == ENGINE
    assert made._command_configured, "Prefect would look for code first"


def test_a_command_that_a_deployment_names_stays() -> None:
    assert prepared("/other/python -m prefect.engine").command == "/other/python -m prefect.engine"
