"""The form of every deployment, by the rules with which Prefect's API checks what is sent."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.importtools import import_object
from prefect.utilities.schema_tools.validation import validate

RECIPE = Path(__file__).parents[2] / "prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(RECIPE.read_text())["deployments"]
# A type for Prefect's form: it draws one control each; of "anyOf" one for each choice.
TYPES = {"string", "integer", "number", "boolean", "null"}


def schema_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """What the form is drawn from."""
    flow = import_object(deployment["entrypoint"])
    assert isinstance(flow, Flow)
    found: dict[str, Any] = parameter_schema(flow).model_dump(exclude_none=True)
    return found


@pytest.fixture(params=DEPLOYMENTS, ids=lambda one: str(one["name"]))
def schema(request: pytest.FixtureRequest) -> dict[str, Any]:
    return schema_of(request.param)


def test_every_field_has_a_title_words_and_a_control(schema: dict[str, Any]) -> None:
    for name, field in schema["properties"].items():
        assert field["title"][0].isupper(), name
        assert "_" not in field["title"], name
        assert len(field["description"].split()) > 1, name
        for choice in field.get("anyOf", field.get("allOf", [field])):
            named = choice.get("$ref", "").rpartition("/")[2]
            meant = schema["definitions"][named] if named else choice
            assert meant.get("type") in TYPES, name
            assert "enum" not in meant or meant["enum"], name


def test_untouched_it_is_accepted_but_for_what_must_be_given(schema: dict[str, Any]) -> None:
    required = set(schema.get("required", ()))
    untouched = {
        name: field.get("default")
        for name, field in schema["properties"].items()
        if name not in required
    }

    errors = validate(untouched, schema, allow_none_with_default=True)

    assert {error.validator for error in errors} <= {"required"}
    assert len(errors) == len(required)


DECIDED = {"proposal": "P-1", "decision": "approve", "decided_by": "Amy"}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("hunt", "target", "T10"),
        ("hunt", "target", ""),
        ("hunt", "since", "yesterday-ish"),
        ("hunt", "dry_run", "perhaps"),
        ("plan-hunts", "most", -1),
        ("plan-hunts", "most", 1001),
        ("close-the-loop", "determination", "bad"),
        ("decide-proposal", "decision", "maybe"),
        ("decide-proposal", "proposal", ""),
    ],
)
def test_nonsense_is_refused_before_the_run(name: str, field: str, value: Any) -> None:
    (deployment,) = [one for one in DEPLOYMENTS if one["name"] == name]
    given = {**(DECIDED if name == "decide-proposal" else {}), field: value}

    errors = validate(given, schema_of(deployment), allow_none_with_default=True)

    assert {error.path[0] for error in errors} == {field}
