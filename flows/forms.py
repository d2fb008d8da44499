"""Parameters of flows as Prefect's form shows them: a title, the docstring's words, a control."""

from typing import Annotated

from pydantic import Field
from pydantic.fields import FieldInfo


def titled(title: str) -> FieldInfo:
    """Annotation with the title of a parameter's field; else the form shows its name in code.

    Prefect makes the name the title of the field and leaves extra words of its schema alone.
    """
    field: FieldInfo = Field(json_schema_extra={"title": title})
    return field


HomePath = Annotated[str, Field(max_length=500), titled("Home")]
"""Folder of a home as a flow's parameter; empty: HUNTONCE_HOME, else .huntonce.

Prefect shows a parameter's description in its form from the docstring's Args only.
"""
SiemName = Annotated[str, Field(min_length=1, max_length=100), titled("SIEM")]
"""Name of a SIEM as a flow's parameter."""
