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
        outcome: The part of the programme it belongs to: gaps, detections, findings or loop.
        unit: count, hours, share (0..1), rate (a day) or sum.
        when: "in" the period, at its "end", or "now": only the present is recorded.
    """

    label: str
    means: str
    counted_from: str
    outcome: str
    unit: str
    when: str


WHEN: Mapping[str, str] = {
    "in": "in the period",
    "end": "at its end",
    "now": "at this moment",
}
_HUNTS = "concluded hunts, the last one of each hypothesis"

DEFINITIONS: Mapping[str, Definition] = {
    "gaps_surfaced": Definition(
        label="Gaps surfaced",
        means="Gaps that were first recorded in the period. The same source, wrong in the "
        "same way on the same SIEM, is one gap, however many hosts and hypotheses "
        "it concerns.",
        counted_from="log, rows of gaps: births",
        outcome="gaps",
        unit="count",
        when="in",
    ),
    "gaps_closed": Definition(
        label="Gaps closed",
        means="Gaps that went to closed in the period and still were at its end. Only "
        "consecutive passing probes close a gap; a closed ticket does not.",
        counted_from="log, rows of gaps: last state of each",
        outcome="gaps",
        unit="count",
        when="in",
    ),
    "gaps_open": Definition(
        label="Gaps open",
        means="Gaps whose state is neither closed nor accepted as a risk.",
        counted_from="log, rows of gaps: last state of each",
        outcome="gaps",
        unit="count",
        when="end",
    ),
    "gaps_regressed": Definition(
        label="Gaps regressed",
        means="Gaps that were closed and came back.",
        counted_from="log, rows of gaps: rows to regressed",
        outcome="gaps",
        unit="count",
        when="in",
    ),
    "gaps_risk_accepted": Definition(
        label="Gaps lived with",
        means="Gaps that somebody has accepted as a risk for a time, with a reason.",
        counted_from="log, rows of gaps: last state of each",
        outcome="gaps",
        unit="count",
        when="end",
    ),
    "hypotheses_held_back": Definition(
        label="Hypotheses held back by gaps",
        means="Hypotheses that at least one open gap blocks or weakens.",
        counted_from="open gaps and what each unlocks",
        outcome="gaps",
        unit="count",
        when="end",
    ),
    "remediation_hours": Definition(
        label="Median time to remediation",
        means="Over the gaps closed in the period, the median time from surfaced (or last "
        "regressed) to the first passing probe of the run that verified the fix.",
        counted_from="log, rows of gaps: times of surfaced, regressed and verifying",
        outcome="gaps",
        unit="hours",
        when="in",
    ),
    "remediation_hours_p90": Definition(
        label="Nine of ten remedied within",
        means="The 90th percentile of the same times.",
        counted_from="log, rows of gaps: times of surfaced, regressed and verifying",
        outcome="gaps",
        unit="hours",
        when="in",
    ),
    "detections_promoted": Definition(
        label="Detections promoted",
        means="Detections that first left the draft state. No detection does so without a "
        "certificate that holds.",
        counted_from="log, rows of detections: first row to experimental, test or stable",
        outcome="detections",
        unit="count",
        when="in",
    ),
    "techniques_newly_guarded": Definition(
        label="Techniques newly guarded",
        means="Techniques of detections promoted in the period that no promoted detection "
        "covered at that moment.",
        counted_from="log, rows of detections, and the techniques of each",
        outcome="detections",
        unit="count",
        when="in",
    ),
    "detections_retired": Definition(
        label="Detections retired",
        means="Detections whose last state is retired.",
        counted_from="log, rows of detections: last state of each",
        outcome="detections",
        unit="count",
        when="in",
    ),
    "detections_guarding": Definition(
        label="Detections standing guard",
        means="Detections that are promoted, certified, scheduled on a SIEM and whose "
        "evidence arrives. What they cover is not hunted again.",
        counted_from="detections as they stand",
        outcome="detections",
        unit="count",
        when="now",
    ),
    "detections_unhealthy": Definition(
        label="Detections not standing guard",
        means="Promoted detections that cannot be relied on: the certificate does not "
        "hold, they are not seen to run, or their evidence does not arrive or was "
        "never checked.",
        counted_from="detections as they stand",
        outcome="detections",
        unit="count",
        when="now",
    ),
    "techniques_guarded": Definition(
        label="Techniques guarded",
        means="Techniques that at least one detection stands guard for. A technique can "
        "be done in more ways than one detection sees.",
        counted_from="detections as they stand",
        outcome="detections",
        unit="count",
        when="now",
    ),
    "alerts_a_day_proven": Definition(
        label="Alerts a day to expect",
        means="Sum over the promoted detections of the false alerts a day that their "
        "certificates measured in the replay.",
        counted_from="certificates of the detections as they stand",
        outcome="detections",
        unit="rate",
        when="now",
    ),
    "alerts_a_day": Definition(
        label="Alerts a day since promotion",
        means="Alerts of promoted detections over the days on which any was recorded.",
        counted_from="recorded alerts",
        outcome="detections",
        unit="rate",
        when="in",
    ),
    "alert_precision": Definition(
        label="Precision since promotion",
        means="Of the alerted events that a case closed in the period or a person's judgement "
        "in it says are real or false, the share of real ones; the case counts before the "
        "judgement. Nothing where nobody has said.",
        counted_from="recorded alerts, their judgements in the log, and closed cases that hold "
        "their events",
        outcome="detections",
        unit="share",
        when="in",
    ),
    "cases_opened": Definition(
        label="Cases opened",
        means="Cases that were handed to incident response.",
        counted_from="log, rows of cases: births",
        outcome="findings",
        unit="count",
        when="in",
    ),
    "cases_closed": Definition(
        label="Cases closed",
        means="Cases that incident response has closed, whatever it determined.",
        counted_from="log, rows of cases: last state of each",
        outcome="findings",
        unit="count",
        when="in",
    ),
    "cases_confirmed": Definition(
        label="Cases confirmed",
        means="Closed cases that incident response determined to be confirmed.",
        counted_from="closed cases and their determination",
        outcome="findings",
        unit="count",
        when="in",
    ),
    "cases_false": Definition(
        label="Cases that were false alarms",
        means="Closed cases that incident response determined to be a false positive.",
        counted_from="closed cases and their determination",
        outcome="findings",
        unit="count",
        when="in",
    ),
    "case_hours": Definition(
        label="Median time to close a case",
        means="Over the cases closed in the period, the median time from opened to closed.",
        counted_from="log, rows of cases",
        outcome="findings",
        unit="hours",
        when="in",
    ),
    "hunts": Definition(
        label="Hunts concluded",
        means="Hunts that ended with a verdict, blocked ones included.",
        counted_from="log, rows of hunts to concluded",
        outcome="findings",
        unit="count",
        when="in",
    ),
    "confirmed": Definition(
        label="Hypotheses confirmed",
        means="Hypotheses whose last hunt concluded in the period found malicious activity.",
        counted_from=_HUNTS,
        outcome="findings",
        unit="count",
        when="in",
    ),
    "ruled_out": Definition(
        label="Hypotheses ruled out",
        means="Hypotheses whose last hunt concluded in the period found nothing, with "
        "power at or above the floor, at least one executed check and no required "
        "evidence missing everywhere.",
        counted_from=_HUNTS,
        outcome="findings",
        unit="count",
        when="in",
    ),
    "ruled_out_power": Definition(
        label="What the ruled-out ones are worth",
        means="Sum of the powers (0 to 1 each) of the hypotheses ruled out. Power is the "
        "share of host-hours in which every required kind of evidence would have "
        "been seen.",
        counted_from=_HUNTS,
        outcome="findings",
        unit="sum",
        when="in",
    ),
    "inconclusive": Definition(
        label="Hypotheses inconclusive",
        means="Hypotheses whose last hunt concluded in the period could not decide: power "
        "under the floor, a check that was not complete, or findings that a person "
        "must judge. Not ruled out.",
        counted_from=_HUNTS,
        outcome="findings",
        unit="count",
        when="in",
    ),
    "blocked": Definition(
        label="Hypotheses blocked",
        means="Hypotheses whose last hunt concluded in the period could not look at all. "
        "Nothing is known of them, neither good nor bad.",
        counted_from=_HUNTS,
        outcome="findings",
        unit="count",
        when="in",
    ),
    "not_hunted": Definition(
        label="Hypotheses never hunted",
        means="Hypotheses, superseded ones left out, without a concluded hunt. Nothing is "
        "known of them.",
        counted_from="log, rows of hypotheses, and concluded hunts",
        outcome="findings",
        unit="count",
        when="end",
    ),
    "hypotheses": Definition(
        label="Hypotheses",
        means="Hypotheses first recorded. One behaviour in one scope is one hypothesis, "
        "however many reports claim it.",
        counted_from="log, rows of hypotheses: births",
        outcome="loop",
        unit="count",
        when="in",
    ),
    "intel_to_hypothesis_hours": Definition(
        label="Intel to hypothesis",
        means="Over the hypotheses recorded in the period, the median time since the "
        "newest source that each had then was published.",
        counted_from="log, rows of hypotheses, and the times of their sources",
        outcome="loop",
        unit="hours",
        when="in",
    ),
    "hypothesis_to_verdict_hours": Definition(
        label="Hypothesis to verdict",
        means="Over the hypotheses that got their first verdict in the period, the median "
        "time from first recorded to that verdict.",
        counted_from="log, rows of hypotheses and hunts",
        outcome="loop",
        unit="hours",
        when="in",
    ),
    "intel_to_verdict_hours": Definition(
        label="Intel to verdict",
        means="Both together, over the hypotheses that got their first verdict in the "
        "period and have a source.",
        counted_from="log, rows of hypotheses and hunts, and the times of sources",
        outcome="loop",
        unit="hours",
        when="in",
    ),
    "cases_to_intel": Definition(
        label="Cases that became intel",
        means="Cases closed in the period of which at least one object has reached a destination.",
        counted_from="log, rows of cases and publications",
        outcome="loop",
        unit="count",
        when="in",
    ),
    "cases_to_intel_share": Definition(
        label="Share of cases that became intel",
        means="The same as a share of the cases closed in the period.",
        counted_from="log, rows of cases and publications",
        outcome="loop",
        unit="share",
        when="in",
    ),
    "objects_published": Definition(
        label="Objects published",
        means="Different objects of ours that reached a destination in the period.",
        counted_from="log, rows of publications to sent or already present",
        outcome="loop",
        unit="count",
        when="in",
    ),
    "intel_to_hypotheses": Definition(
        label="Of these, behind a hypothesis",
        means="Objects published in the period that are a source of a hypothesis here: "
        "what we learned is hunted.",
        counted_from="publications, and the sources of hypotheses",
        outcome="loop",
        unit="count",
        when="in",
    ),
    "guarded_hours": Definition(
        label="Hours watched instead of hunted",
        means="Hours of the period, summed over the detections, from promotion to "
        "retirement: what a machine watched that nobody hunted again.",
        counted_from="log, rows of detections",
        outcome="loop",
        unit="hours",
        when="in",
    ),
    "queries_saved": Definition(
        label="Queries saved by hunting once",
        means="What hunting the watched hours again would have asked: for each detection, "
        "the queries of the last hunt for its hypothesis times the watched hours "
        "over the hours of that hunt. An estimate.",
        counted_from="log, rows of detections, and the checks of hunts",
        outcome="loop",
        unit="sum",
        when="in",
    ),
}
"""One for every number of ``measure``, by its name."""

TABLES: Mapping[str, str] = {
    "gaps_open_by_kind_and_age": "Open gaps by kind and by the time since each last came up.",
    "remediation_by_kind": "Time to remediation of the gaps closed in the period, by kind.",
    "remediation_by_owner": "The same by the owner of the gap.",
    "techniques_newly_guarded": "Techniques that nothing covered before, with the detection.",
    "detections_by_source": "The traces that promoted detections feed on, as they stand.",
    "yield_by_feed": "What the hypotheses of each feed led to; one behind which several feeds "
    "stand counts for each. A feed without a row is behind no hypothesis.",
    "yield_by_actor": "The same by the actor that intelligence names.",
}
"""What each table of ``measure`` shows, by its name."""
