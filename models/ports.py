"""Ports: what the stages ask of the outside world, in the domain's own terms.

Every connector implements one of these; every connector of a kind passes one contract suite.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from huntonce.models.case import Determination
from huntonce.models.detection import HeldRule
from huntonce.models.errors import ConnectorError, TerminalError, TransientError
from huntonce.models.finding import EventRef
from huntonce.models.guarding import GuardRule, RuleRun
from huntonce.models.rules import RuleLook
from huntonce.models.windows import Window

if TYPE_CHECKING:  # Arrow is slow to import, and what only reads the state does without
    import pyarrow as pa

    from huntonce.models.query import (
        FieldWant,
        Revision,
        SearchResult,
        SiemCapabilities,
        SigmaSearch,
    )

Clock = Callable[[], datetime]


# ---------------------------------------------------------------- intel


class PublishAnswer(Protocol):
    """What a destination said of one object."""

    @property
    def object_id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def outcome(self) -> str:
        """``sent``, ``already_present`` or ``failed``."""
        ...

    @property
    def why(self) -> str: ...


class IntelDestination(Protocol):
    """Somewhere our intel goes."""

    @property
    def name(self) -> str: ...

    def publish(self, bodies: Sequence[str]) -> Sequence[PublishAnswer]:
        """Send STIX objects (JSON texts); an answer for each, in their order.

        Publishing the same version again answers ``already_present``.
        """
        ...


# ---------------------------------------------------------------- SIEM


class Siem(Protocol):
    """Somewhere telemetry can be searched."""

    @property
    def name(self) -> str: ...

    def capabilities(self) -> "SiemCapabilities": ...

    def extent(self) -> Window | None:
        """First to just after the last event held; None where it holds nothing."""
        ...

    def hosts(self) -> frozenset[str]:
        """Every host that ever sent anything (short names, upper case)."""
        ...

    def inventory(self, window: Window) -> "pa.Table":
        """What arrived: ``INVENTORY_SCHEMA``; a window's edges are kept to a millisecond."""
        ...

    def field_fill(self, window: Window, wants: "Sequence[FieldWant]") -> "pa.Table":
        """How well fields are filled: ``FILL_SCHEMA``; edges as those of the inventory."""
        ...

    def search(self, query: "SigmaSearch", window: Window) -> "SearchResult":
        """Events that a Sigma detection matches.

        Raises:
            TerminalError: The query cannot be run on this SIEM as it is meant; never run in part.
            TransientError: The SIEM did not answer.
        """
        ...

    def search_rule(self, rule: str, window: Window, fields: Sequence[str] = ()) -> "SearchResult":
        """Events that a Sigma rule (YAML) matches; errors as for ``search``."""
        ...

    def originals(self, refs: Sequence[EventRef]) -> Mapping[str, str]:
        """Uid to the original event as JSON text, for those still held."""
        ...

    # What follows a connector may do better; whoever inherits from this class need not.

    def counts(self, query: "SigmaSearch", window: Window) -> "pa.Table":
        """Events that a Sigma detection matches, counted: ``COUNT_SCHEMA``. Errors as ``search``.

        All of them, whatever the query's ``limit``. This way fetches the events and refuses where
        they are too many; a connector that can count does it there.
        """
        from huntonce.models.query import MOST_COUNTED, count_by_hour  # noqa: PLC0415 - as above

        found = self.search(replace(query, limit=MOST_COUNTED), window)
        if found.truncated:
            message = f"more than {MOST_COUNTED} events match: too many to fetch and count"
            raise TerminalError(message, connector=self.name, hint="ask for a shorter window")
        return count_by_hour(found)

    def counts_of(
        self, queries: "Sequence[SigmaSearch]", window: Window
    ) -> "Sequence[pa.Table | ConnectorError]":
        """``counts`` of several searches; for one that was refused, why.

        Raises:
            TransientError: The SIEM did not answer.
        """
        found: list[pa.Table | ConnectorError] = []
        for query in queries:
            try:
                found.append(self.counts(query, window))
            except TransientError:
                raise
            except ConnectorError as error:
                found.append(error)
        return found

    def lags(self, window: Window) -> "pa.Table":  # noqa: ARG002 - for those that know
        """How late events were taken in: ``LAG_SCHEMA``; empty where nothing says so."""
        from huntonce.models.query import LAG_SCHEMA  # noqa: PLC0415 - as above

        return LAG_SCHEMA.empty_table()

    def revisions(self, window: Window) -> "Sequence[Revision]":  # noqa: ARG002 - as above
        """Spans that cover all that is held in a window, each named by its content.

        What a mark stands for never changes, so answers may be kept by it. Empty: content has no
        names here, and nothing may be kept.
        """
        return ()


class RuleBook(Protocol):
    """Sigma rules that somebody keeps, by the techniques that they are tagged with."""

    def version(self, technique_id: str) -> str:
        """Hash of the rules tagged with a technique; "" where there are none."""
        ...

    def techniques(self) -> frozenset[str]:
        """Every technique that a rule is tagged with."""
        ...

    def look(self, technique_id: str, siem: Siem, window: Window) -> RuleLook:
        """What the rules tagged with a technique match.

        A rule that the SIEM cannot run, or whose events do not arrive, is named as unseen.

        Raises:
            TransientError: The SIEM did not answer.
        """
        ...


# ---------------------------------------------------------------- outcomes


class TicketDesk(Protocol):
    """Where gaps become tickets."""

    @property
    def name(self) -> str: ...

    def find(self, key: str) -> str | None:
        """Remote id of the ticket that carries an idempotency key."""
        ...

    def create(self, key: str, gap: Mapping[str, object]) -> str:
        """Open a ticket that carries the key; returns its remote id."""
        ...

    def close(self, remote_id: str, comment: str) -> None: ...

    def reopen(self, remote_id: str, comment: str) -> None: ...


class CaseDesk(Protocol):
    """Where evil becomes a case."""

    @property
    def name(self) -> str: ...

    def find(self, key: str) -> str | None:
        """Remote id of the case that carries an idempotency key."""
        ...

    def create(self, key: str, case: Mapping[str, object]) -> str:
        """Open a case that carries the key; returns its remote id."""
        ...

    def closed(self) -> Mapping[str, tuple[Determination, str, datetime]]:
        """Remote id to determination, note and time of the cases that IR has closed."""
        ...

    def close(self, remote_id: str, determination: Determination, note: str) -> None:
        """Close it there (the built-in desk; others are closed by their own people)."""
        ...


@runtime_checkable
class HasPages(Protocol):
    """What a desk with pages for people can say besides (docs/guides/desks.md).

    Attributes:
        base: Address below which its pages are; no slash at the end.
    """

    @property
    def base(self) -> str: ...

    def page_of(self, remote_id: str) -> str:
        """Address of a ticket's or a case's page; empty where there is none."""
        ...


class DetectionStore(Protocol):
    """Where detections are kept as code, or deployed to run."""

    @property
    def name(self) -> str: ...

    def find(self, key: str) -> str | None:
        """Remote id of the deployed rule that carries a key (its rule id)."""
        ...

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write or update the rule; returns its remote id. The same content twice is one rule."""
        ...

    def retire(self, remote_id: str) -> None: ...


@runtime_checkable
class ReadableStore(Protocol):
    """A store of detections that can be read back, so that drift can be seen."""

    def kept(self, key: str) -> Mapping[str, str] | None:
        """Part (rule, filters, certificate, fixtures, hunt) to its text as it is there now.

        None where the rule is not there; a part that is not there is left out.
        """
        ...

    def rules(self) -> Sequence[str]:
        """Ids of the rules that are there and not retired."""
        ...


@runtime_checkable
class SwitchedStore(Protocol):
    """A store of detections on a SIEM that says how its operators have its rules. Optional."""

    def held(self) -> Sequence[HeldRule]:
        """Every rule with our mark that is there and not retired."""
        ...


class RuleRunner(Protocol):
    """Something that runs promoted rules over what a SIEM holds, unseen data only."""

    @property
    def name(self) -> str:
        """What it is called in certificates."""
        ...

    def run(self, rules: Sequence[GuardRule]) -> RuleRun:
        """Run them; a rule that cannot be run is a fault of its own and stops no other.

        Raises:
            TransientError: The SIEM did not answer; nothing was looked at.
        """
        ...
