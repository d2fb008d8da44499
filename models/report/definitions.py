"""Definitions: what every number of the programme means, and the records it is counted from."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One number, as the page explains it.

    Attributes:
        label: Its name for people.
        means: What is counted.
        counted_from: The records that it is counted from.
    """

    label: str
    means: str
    counted_from: str


_LOG = "transition log, rows of "
_HUNTS = "concluded hunts, the last one of each hypothesis"

DEFINITIONS: Mapping[str, Definition] = {
    "gaps_surfaced": Definition(
        label="Gaps surfaced",
        means="Gaps that were ever recorded. The same source, wrong in the same way on the same "
        "SIEM, is one gap, however many hosts and hypotheses it concerns.",
        counted_from=f"{_LOG}gaps: distinct subjects",
    ),
    "gaps_closed": Definition(
        label="Gaps closed",
        means="Gaps whose last state is closed. Only consecutive passing probes close a gap; a "
        "closed ticket does not.",
        counted_from=f"{_LOG}gaps: last state of each",
    ),
    "gaps_open": Definition(
        label="Gaps open",
        means="Gaps whose last state is neither closed nor accepted as a risk.",
        counted_from=f"{_LOG}gaps: last state of each",
    ),
    "gaps_regressed": Definition(
        label="Gaps regressed",
        means="Gaps that were closed and came back at least once.",
        counted_from=f"{_LOG}gaps: any row to regressed",
    ),
    "remediation_hours": Definition(
        label="Median time to remediation",
        means="Over the closed gaps, the median time from surfaced (or last regressed) to the "
        "first passing probe of the run that verified the fix. None where none is closed.",
        counted_from=f"{_LOG}gaps: times of surfaced, regressed and verifying",
    ),
    "detections_promoted": Definition(
        label="Detections promoted",
        means="Detections that ever left the draft state. No detection does so without a "
        "certificate that holds.",
        counted_from=f"{_LOG}detections: any row to experimental, test or stable",
    ),
    "detections_retired": Definition(
        label="Detections retired",
        means="Detections whose last state is retired.",
        counted_from=f"{_LOG}detections: last state of each",
    ),
    "detections_guarding": Definition(
        label="Detections standing guard",
        means="Detections that are promoted, certified, scheduled on a SIEM and whose evidence "
        "arrives, at the moment of this report. What they cover is not hunted again.",
        counted_from="detections as they stand",
    ),
    "techniques_guarded": Definition(
        label="Techniques guarded",
        means="Techniques that at least one detection stands guard for. A technique can be done "
        "in more ways than one detection sees.",
        counted_from="detections as they stand",
    ),
    "cases_opened": Definition(
        label="Cases opened",
        means="Cases that were handed to incident response.",
        counted_from=f"{_LOG}cases: distinct subjects",
    ),
    "cases_closed": Definition(
        label="Cases closed",
        means="Cases that incident response has closed, whatever it determined.",
        counted_from=f"{_LOG}cases: last state of each",
    ),
    "hypotheses": Definition(
        label="Hypotheses",
        means="Hypotheses ever recorded. One behaviour in one scope is one hypothesis, however "
        "many reports claim it.",
        counted_from=f"{_LOG}hypotheses: distinct subjects",
    ),
    "not_hunted": Definition(
        label="Hypotheses never hunted",
        means="Hypotheses, superseded ones left out, without a concluded hunt. Nothing is known "
        "of them.",
        counted_from="hypotheses as they stand, and concluded hunts",
    ),
    "hunts": Definition(
        label="Hunts concluded",
        means="Hunts that ended with a verdict, blocked ones included.",
        counted_from="hunts with a verdict",
    ),
    "confirmed": Definition(
        label="Hypotheses confirmed",
        means="Hypotheses whose last concluded hunt found malicious activity.",
        counted_from=_HUNTS,
    ),
    "ruled_out": Definition(
        label="Hypotheses ruled out",
        means="Hypotheses whose last concluded hunt found nothing, with power at or above the "
        "floor, at least one executed check and no required evidence missing everywhere.",
        counted_from=_HUNTS,
    ),
    "ruled_out_power": Definition(
        label="What the ruled-out ones are worth",
        means="Sum of the powers (0 to 1 each) of the hypotheses ruled out. Power is the share of "
        "host-hours in which every required kind of evidence would have been seen.",
        counted_from=_HUNTS,
    ),
    "inconclusive": Definition(
        label="Hypotheses inconclusive",
        means="Hypotheses whose last concluded hunt could not decide: power under the floor, a "
        "check that was not complete, or findings that a person must judge. Not ruled out.",
        counted_from=_HUNTS,
    ),
    "blocked": Definition(
        label="Hypotheses blocked",
        means="Hypotheses whose last concluded hunt could not look at all. Nothing is known of "
        "them, neither good nor bad.",
        counted_from=_HUNTS,
    ),
}
"""One for every number of ``Programme.numbers``, by its name."""
