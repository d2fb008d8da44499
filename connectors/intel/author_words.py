"""STIX 2.1 of what was not found, and of what a person thinks of others' intel."""

from huntonce.connectors.intel.pen import Pen
from huntonce.models.errors import DomainError
from huntonce.models.feedback import Mask, OpinionIntel, RuledOutIntel, stix_time
from huntonce.models.hypothesis import Verdict
from huntonce.models.tlp import tightest


def author_ruled_out(intel: RuledOutIntel, *, mask: Mask) -> tuple[str, ...]:
    """Negative knowledge as STIX: a sighting with count 0, and a note on how it was looked for.

    Empty where the power is under the floor: that says nothing.

    Raises:
        DomainError: The run did not rule the hypothesis out, or says nothing of its power.
    """
    run, technique = intel.run, intel.technique
    if run.verdict is not Verdict.RULED_OUT or run.power is None or run.concluded_at is None:
        raise DomainError(f"hunt {run.id or run.key} did not rule its hypothesis out")
    if run.power.value < intel.floor:
        return ()
    level = tightest([intel.tlp, *(one.tlp for one in intel.hypothesis.sources)], intel.tlp)
    pen = Pen(intel.organisation, stix_time(run.concluded_at), level)
    pattern = pen.technique(technique)
    sighting = pen.sro(
        "sighting",
        (run.key, "none"),
        description=f"{technique.id} was looked for and not seen.",
        first_seen=stix_time(run.start),
        last_seen=stix_time(run.end),
        count=0,
        sighting_of_ref=pattern,
        where_sighted_refs=[pen.identity],
        summary=True,
    )
    checks = [check.name for check in run.checks if check.executed and not check.origin]
    others = sum(check.executed and bool(check.origin) for check in run.checks)
    # Others' rules are counted, never named: their names are under markings of their own.
    also = f"{others} rules received from others" if others else ""
    named = "; ".join(dict.fromkeys([*checks, *([also] if also else [])]))
    method = (
        f"Hunt {run.hunt_name}: {len(checks) + others} checks ({named}), from"
        f" {stix_time(run.start)} to {stix_time(run.end)}."
    )
    blind = "\n".join(("Not seen by us:", *intel.blind)) if intel.blind else ""
    words = [intel.hypothesis.statement, f"{method} {intel.power}"]
    words += [blind] if intel.style.gaps and blind else []
    pen.sdo(
        "note",
        (run.key, "none"),
        abstract=f"{technique.id} ruled out",
        content=mask.text("\n\n".join(words)),
        object_refs=[sighting, pattern],
    )
    return pen.texts()


def author_opinion(intel: OpinionIntel, *, mask: Mask) -> tuple[str, ...]:
    """A person's opinion on an object of others; whose it is stays here, our identity signs."""
    pen = Pen(intel.organisation, stix_time(intel.at), intel.tlp)
    explained = {"explanation": mask.text(intel.why)} if intel.why.strip() else {}
    pen.sdo(
        "opinion",
        ("opinion", intel.about),
        opinion=intel.stance.value,
        object_refs=[intel.about],
        **explained,
    )
    return pen.texts()
