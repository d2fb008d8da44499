"""Markdown pages for operators. What comes from data is escaped: it cannot render as anything."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.finding import Finding
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.proposal import Proposal

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&:@/])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
MAX_CELL = 600
_PLAIN = re.compile(r"[A-Za-z0-9 #/-]{1,80}")
"""Text of which nothing means anything within a link."""
_PATH = r"/(?!/)[A-Za-z0-9._~/?=&%-]*"
_ADDRESS = re.compile(rf"https?://[A-Za-z0-9.:\[\]-]+(?:{_PATH}|/)?|{_PATH}")


class Linked(NamedTuple):
    """Text that leads to an address of ours or of a configured desk; never one from data."""

    text: str
    address: str

    @property
    def markdown(self) -> str:
        """A link; just the text where the address is not plainly one of the web."""
        if not _ADDRESS.fullmatch(self.address):
            return escape(self.text)
        # Prefect's pages show the backslashes of escapes in a link's text.
        shown = self.text if _PLAIN.fullmatch(self.text) else escape(self.text)
        return f"[{shown}]({self.address})"


def escape(value: object, limit: int = MAX_CELL) -> str:
    """Text that Markdown shows as it is, on one line."""
    text = _CONTROL.sub("?", str(value).replace("\n", " ").replace("\t", " "))
    if len(text) > limit:
        text = f"{text[: limit - 1]}…"
    return _SPECIAL.sub(r"\\\1", text)


def code(text: str) -> str:
    """A fenced block that its content cannot leave."""
    clean = _CONTROL.sub("?", text)
    longest = max((len(run) for run in re.findall(r"`+", clean)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{clean}\n{fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table of escaped cells."""
    head = f"| {' | '.join(columns)} |"
    rule = f"| {' | '.join('---' for _ in columns)} |"
    body = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([head, rule, *body])


def _cell(cell: object) -> str:
    return cell.markdown if isinstance(cell, Linked) else escape(cell)


def steps_page(title: str, steps: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A run as a page: each stage under its name, its lines as they were told."""
    parts = [f"# {escape(title)}"]
    last = ""
    for stage, lines in steps:
        if stage != last:
            parts.append(f"## {escape(stage)}")
        last = stage
        parts.append("\n".join(f"- {escape(line.strip(), 2000)}" for line in lines))
    return "\n\n".join(parts)


WAITING_COLUMNS = ("proposal", "what it does", "to", "approved by", "lapses")
_MINUTE = "%Y-%m-%d %H:%M"
DECIDE = (
    "Decide with the form of decide-proposal ([Deployments](/deployments)): the proposal's id, "
    "approve or reject, your name."
)
FORM = "decide-proposal"
DECIDE_BY_LINK = (
    "A proposal's id opens the form of decide-proposal: approve or reject, and your name."
)


def proposals_page(proposals: Sequence[Proposal], form: str = "") -> str:
    """The changes that wait for a person.

    ``form``: path of the form of decide-proposal on the server that shows the page, if known.
    """
    if not proposals:
        return "# Proposals\n\nNothing waits for a decision."
    return "\n\n".join(["# Proposals", *_waiting(proposals, form)])


def _waiting(proposals: Sequence[Proposal], form: str) -> tuple[str, str]:
    rows = [
        (
            Linked(p.id, _filled(form, p.id)),
            p.summary,
            p.target,
            ", ".join(p.approvals) or "nobody yet",
            f"{p.expires_at:{_MINUTE}} UTC",
        )
        for p in proposals
    ]
    return DECIDE_BY_LINK if form else DECIDE, table(WAITING_COLUMNS, rows)


def _filled(form: str, proposal: str) -> str:
    """The form with the proposal's id in it."""
    given = quote(json.dumps({"proposal": proposal}, separators=(",", ":")), safe="")
    return f"{form}?parameters={given}" if form else ""


def hunt_page(
    run: HuntRun,
    hypothesis: Hypothesis,
    findings: Sequence[Finding],
    gaps: Sequence[Gap],
    detections: Sequence[Detection] = (),
    cases: Sequence[Case] = (),
    proposals: Sequence[Proposal] = (),
    addresses: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A hunt as an operator reads it.

    ``addresses``: where the desk shows the ticket of a gap and a case, by our id of it; under
    ``FORM`` the form of decide-proposal as in ``proposals_page``.
    """
    verdict = (run.verdict or run.state).value.replace("_", " ")
    parts = [
        f"# {escape(run.id)}: {escape(f'{hypothesis.technique_id} {hypothesis.technique_name}')}",
        escape(hypothesis.statement, 2000),
        f"**Verdict: {escape(verdict)}.** {escape(run.why, 2000)}",
        escape(f"{run.start:{_MINUTE}} to {run.end:{_MINUTE}} UTC, on {run.siem}")
        + (f", {escape(run.ledger)}" if run.ledger else ""),
    ]
    if run.power is not None and run.power.words not in run.why:
        parts.append(f"**Power:** {escape(run.power.words, 2000)}")
    if proposals:
        parts += ["## Waiting for a person", *_waiting(proposals, addresses.get(FORM, ""))]
    if findings:
        parts.append("## Findings")
        parts.append(
            table(
                ("id", "disposition", "score", "what", "where", "why"),
                [
                    (
                        f.id,
                        f.disposition.value,
                        f"{f.score:.2f}",
                        f.title,
                        ", ".join(f.hosts),
                        f.reason,
                    )
                    for f in findings
                ],
            )
        )
    if gaps:
        parts.append("## Gaps")
        parts.append(
            table(
                ("id", "severity", "hosts", "why", "remedy", "ticket"),
                [
                    (
                        g.id,
                        g.severity,
                        f"{len(g.hosts)} of {g.population}",
                        g.reason,
                        "; ".join(g.remedy.commands) or g.remedy.text,
                        Linked(g.ticket, addresses.get(g.id, "")),
                    )
                    for g in gaps
                ],
            )
        )
    if detections:
        parts.append("## Detections")
        parts.append(
            table(
                ("id", "status", "what", "false alerts a day", "deployed to"),
                [(d.id, d.state.value, d.title, _rate(d), _places(d)) for d in detections],
            )
        )
        parts += [code(d.rule) for d in detections]
    if cases:
        parts.append("## Cases")
        parts.append(
            table(
                ("id", "severity", "what", "hosts", "at the desk"),
                [
                    (
                        c.id,
                        c.severity,
                        c.title,
                        ", ".join(c.hosts),
                        Linked(c.remote_id or "waits", addresses.get(c.id, "")),
                    )
                    for c in cases
                ],
            )
        )
    parts.append("## Outcomes")
    parts.append("\n".join(f"- {escape(line)}" for line in run.outcomes) or "none yet")
    parts.append("## Queries as sent")
    for check in run.checks:
        told = f"{escape(check.name)}: {check.events} events"
        notes = "; ".join(note for note in (check.origin, check.why) if note)
        if notes:
            told += f" ({escape(notes)})"
        parts.append(told)
        if check.query:
            parts.append(code(check.query))
    return "\n\n".join(parts)


def _rate(detection: Detection) -> str:
    certificate = detection.certificate
    if certificate is None:
        return "no certificate"
    low, high = certificate.interval
    return f"{certificate.alerts_a_day:.2f} ({low:.2f} to {high:.2f})"


def _places(detection: Detection) -> str:
    return ", ".join(f"{d.siem} ({d.observed or 'waits'})" for d in detection.deployments)
