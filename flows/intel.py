"""Flows around intel: pull it, and plan hunts from it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from huntonce.flows.events import announce
from huntonce.flows.forms import HomePath, SiemName, titled
from huntonce.flows.open import only_transient, opaque, open_home
from huntonce.flows.pages import Note, told_as_page
from huntonce.flows.story import tell
from huntonce.models.errors import ConnectorError, TransientError
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.intake import IntelSource
from huntonce.models.intel import AddCounts
from huntonce.models.report.words import count
from huntonce.models.stages.collect import Collected, collect, failure_of, failures_of
from huntonce.models.stages.hypothesise import Hypothesised, hypothesise
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import abandon_dead, default_window, to_hunt


@task(
    cache_policy=NO_CACHE,
    task_run_name="pull {name}",
    retries=2,
    retry_delay_seconds=[2, 15],
    retry_condition_fn=only_transient,
    timeout_seconds=timedelta(hours=1).total_seconds(),
)
def pull_source(name: str, source: IntelSource, kit: Kit) -> Collected:
    """Pull one source from its cursor; safe to repeat."""
    del name
    return collect(source, kit.open_unit, kit.clock)


@task(cache_policy=NO_CACHE)
def derive(kit: Kit) -> Hypothesised:
    """Hypotheses from the stored intel; safe to repeat."""
    return hypothesise(kit)


def pull_all(kit: Kit, sources: tuple[IntelSource, ...]) -> list[Collected]:
    """Pull every source and tell of it; a failing one does not keep the others from being read.

    A source that failed is in the answer with its ``error``; it is tried again at the next pull.
    """
    pulled = []
    for source in sources:
        try:
            collected = pull_source(source.name, opaque(source), opaque(kit))
        except ConnectorError as error:
            fault = failure_of(error).fault
            tell("Intel", f"{source.name}: {error}", f"fault: {fault}; {error.hint}".rstrip("; "))
            pulled.append(_failed(source.name, error))
            continue
        pulled.append(collected)
        counts = collected.counts
        news = f"{counts.new} new, {counts.updated} updated, {counts.duplicate} held already"
        cursor = "kept" if collected.cursor else "unchanged"
        pages = count(collected.batches, "page")
        head = f"{collected.feed}: {count(counts.objects, 'object')} in {pages}"
        lines = [f"{head} ({news}); cursor {cursor}"]
        lines += [f"set aside: {item.place}: {item.reason}" for item in collected.set_aside[:5]]
        tell(
            "Intel",
            *lines,
            objects=counts.objects,
            new=counts.new,
            set_aside=len(collected.set_aside),
        )
        if counts.new or counts.updated:
            announce("intel.updated", collected.feed, new=counts.new, updated=counts.updated)
    return pulled


def _failed(feed: str, error: ConnectorError) -> Collected:
    return Collected(
        feed=feed, batches=0, counts=AddCounts(), set_aside=(), cursor=None, error=error
    )


@flow(name="pull-intel")
def pull_intel(
    source: Annotated[str, Field(max_length=200), titled("Source")] = "",
    home: HomePath = "",
) -> dict[str, Any]:
    """Pull intel from the configured TAXII sources, from where the last complete pull ended.

    All of them are read; those that could not be are listed as ``failed``. Where none could be
    read, the run itself fails.

    Args:
        source: Name of one source, in huntonce.toml or of a block; empty: all of them.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened, told_as_page("pull-intel", "Intel pulled") as note:
        sources = (opened.source(source),) if source else opened.sources()
        pulled = pull_all(opened.kit(), sources)
        if not sources:
            note("Intel", "no source is connected: make a block Huntonce TAXII source, or [intel]")
    errors = [c.error for c in pulled if c.error is not None]
    if errors and len(errors) == len(pulled):
        # The first one as it is: a run whose only fault may pass can be tried again.
        raise next((e for e in errors if isinstance(e, TransientError)), errors[0])
    return {
        "sources": [c.feed for c in pulled],
        "new": sum(c.counts.new for c in pulled),
        "updated": sum(c.counts.updated for c in pulled),
        "duplicate": sum(c.counts.duplicate for c in pulled),
        "set_aside": sum(len(c.set_aside) for c in pulled),
        "failed": failures_of(pulled),
    }


@flow(name="plan-hunts")
def plan_hunts(
    siem: SiemName = "lake",
    most: Annotated[int, Field(ge=0, le=1000), titled("At most")] = 50,
    home: HomePath = "",
) -> dict[str, Any]:
    """Derive hypotheses from the stored intel and ask for the hunts that the ledger wants.

    Each is asked for by an event (huntonce.hypothesis.ready), which starts the hunt deployment.

    Args:
        siem: Where the hunts would look: lake, or the name of a SIEM in huntonce.toml or of a
            block.
        most: How many hunts to ask for now, by priority; the rest is left for the next time.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened, told_as_page("plan-hunts", "Hunts asked for") as note:
        kit = opened.kit(siem)
        abandon_dead(kit)
        made = derive(opaque(kit))
        window = default_window(kit) if kit.siem.extent() else None
        due: list[Hypothesis] = []
        waiting = 0
        for hypothesis in made.hypotheses if window else ():
            answer = to_hunt(kit, hypothesis, window) if window else None
            if answer is None or not answer.windows:
                continue
            if len(due) >= most:
                waiting += 1
                continue
            due.append(hypothesis)
            announce(
                "hypothesis.ready", hypothesis.id, technique=hypothesis.technique_id, siem=siem
            )
        if made.hypotheses:
            _note_plan(note, made, due, waiting, siem if window else "")
    return {
        "hypotheses": len(made.hypotheses),
        "new": list(made.new),
        "due": [one.id for one in due],
        "left_for_later": waiting,
    }


def _note_plan(
    note: Note, made: Hypothesised, due: Sequence[Hypothesis], waiting: int, siem: str
) -> None:
    """The plan in words; ``siem`` is empty where it holds no events."""
    head = f"{count(len(made.hypotheses), 'hypothesis')}, {len(made.new)} of them new"
    held = "" if siem else "; nothing to hunt in: the SIEM holds no events"
    later = f"; {waiting} left for the next time" if waiting else ""
    note(
        "Plan",
        f"{head}; {count(len(due), 'hunt')} asked for{later}{held}",
        *[f"{one.id} {one.technique_id} {one.technique_name}, in {siem}" for one in due],
    )
