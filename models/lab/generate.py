"""The lab's events, day by day and host by host, and the truth about them."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import date

from huntonce.models.lab import life, rollouts, upkeep
from huntonce.models.lab.clockwork import DAY, day_start, micros
from huntonce.models.lab.company import Company
from huntonce.models.lab.events import LabEvent
from huntonce.models.lab.intrusion import TECHNIQUE, Campaign, campaigns
from huntonce.models.lab.machine import Machine
from huntonce.models.lab.truth import (
    TRAPS,
    BenignTrap,
    Intrusion,
    LabTruth,
    PlantedGap,
    planted_gaps,
)

__all__ = [
    "BenignTrap",
    "Intrusion",
    "LabEvent",
    "LabTruth",
    "PlantedGap",
    "generate",
    "host_days",
    "truth",
]


def generate(company: Company) -> Iterator[tuple[str, LabEvent]]:
    """Every event with the name of its day ("2026-11-12").

    Days in order; within a day host by host; within a host in order of time. Only one host's day
    is held in memory at a time.
    """
    for day, events in host_days(company):
        name = day.isoformat()
        for event in events:
            yield name, event


def host_days(
    company: Company, only: Collection[str] | None = None
) -> Iterator[tuple[date, list[LabEvent]]]:
    """Each day of each host with its events in order of time; of some hosts only, if wanted.

    Hosts do not depend on each other, so that a part is the same as that part of the whole.
    """
    planned = campaigns(company)
    hosts = [host for host in company.hosts if only is None or host.name in only]
    machines = [Machine(company, host) for host in hosts]
    for machine in machines:
        _plant(machine, planned)
    end = micros(company.spec.end)
    for day in company.spec.calendar:
        plan = rollouts.plan_day(company, day)
        limit = day_start(day) + DAY
        for machine in machines:
            at_work = life.plan_day(machine, day)
            upkeep.plan_day(machine, day, at_work)
            for at, act in plan.get(machine.host.name, ()):
                machine.at(at, act)
            events = machine.run_until(limit)
            while events and events[-1].at >= end:  # follow-ups of the last moment
                events.pop()
            yield day, events


def _plant(machine: Machine, planned: Collection[Campaign]) -> None:
    name = machine.host.name
    for campaign in planned:
        machine.overnight |= {str(day) for host, day in campaign.overnight if host == name}
        for host, at, act in campaign.acts:
            if host == name:
                machine.at(at, act, campaign.name)


def truth(company: Company) -> LabTruth:
    """What is planted, with the key of every malicious event; runs the hosts involved only."""
    planned = campaigns(company)
    involved = {host for campaign in planned for host in campaign.hosts}
    marked: dict[str, list[LabEvent]] = defaultdict(list)
    if involved:
        for _, events in host_days(company, involved):
            for event in events:
                if event.mark:
                    marked[event.mark].append(event)
    intrusions = []
    for campaign in planned:
        events = sorted(marked[campaign.name], key=lambda event: event.at)
        if not events:
            continue
        intrusions.append(
            Intrusion(
                name=campaign.name,
                technique_id=TECHNIQUE,
                task_name=campaign.task_name,
                hosts=campaign.hosts,
                accounts=campaign.accounts,
                first=events[0].time,
                last=events[-1].time,
                events=tuple(event.key for event in events),
            )
        )
    return LabTruth(intrusions=tuple(intrusions), gaps=planted_gaps(company), traps=TRAPS)
