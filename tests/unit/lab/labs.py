"""Labs made for tests, with their events in memory."""

from dataclasses import dataclass

from huntonce.models.lab.company import Company, LabSpec, build_company
from huntonce.models.lab.events import LabEvent
from huntonce.models.lab.generate import LabTruth, generate, truth


@dataclass(frozen=True)
class Lab:
    company: Company
    events: list[LabEvent]
    truth: LabTruth


def make(spec: LabSpec) -> Lab:
    company = build_company(spec)
    return Lab(company, [event for _, event in generate(company)], truth(company))


def field(event: LabEvent, name: str) -> str:
    value = event.data[name]
    assert isinstance(value, str)
    return value
