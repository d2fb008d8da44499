"""Intel source and destination in memory, with knobs for faults."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from huntonce.connectors.intel.batch import Intake, IntelBatch
from huntonce.connectors.intel.taxii_publish import Answer, outgoing
from huntonce.models.errors import ConnectorError
from huntonce.models.intake import NOTHING
from huntonce.models.tlp import Tlp


@dataclass(kw_only=True)
class MemorySource:
    """Objects in the order they were added.

    Attributes:
        bodies: JSON of one object each; add to the end.
        fail_at_page: Number (from 1) of the page at which ``fault`` is raised instead.
        fault: What to raise there; raised once, then forgotten.
        selection: As the port has it.
    """

    name: str = "memory"
    bodies: list[bytes] = field(default_factory=list)
    page_size: int = 100
    default_tlp: Tlp = Tlp.AMBER
    fail_at_page: int = 0
    fault: ConnectorError | None = None
    selection: str = ""

    def pull(
        self, cursor: str | None = None, *, whole: Mapping[str, int] = NOTHING
    ) -> Iterator[IntelBatch]:
        """A batch a page; the cursor is the number of objects seen."""
        del whole
        intake = Intake(self.name, self.default_tlp)
        at = int(cursor or 0)
        page = 0
        while True:
            page += 1
            if self.fault is not None and page == self.fail_at_page:
                fault, self.fault = self.fault, None
                raise fault
            objects, refused = intake.take(self.bodies[at : at + self.page_size], first=at + 1)
            at = min(at + self.page_size, len(self.bodies))
            if at >= len(self.bodies):
                yield IntelBatch(objects=objects, set_aside=refused, cursor=str(at))
                return
            yield IntelBatch(objects=objects, set_aside=refused)


@dataclass(kw_only=True)
class MemoryDestination:
    """Objects that were published, by id and version.

    Attributes:
        held: JSON text by (id, version).
        refuse: Ids that are answered with ``failed``.
        fault: What the next ``publish`` raises; raised once.
        fault_after: How many objects are taken before it is raised.
    """

    name: str = "memory"
    held: dict[tuple[str, str], str] = field(default_factory=dict)
    refuse: set[str] = field(default_factory=set)
    fault: ConnectorError | None = None
    fault_after: int = 0

    def publish(self, bodies: Sequence[str]) -> list[Answer]:
        """Take what is new; an answer for each, in their order."""
        answers = []
        for index, text in enumerate(bodies):
            if self.fault is not None and index == self.fault_after:
                fault, self.fault = self.fault, None
                raise fault
            answers.append(self._take(text))
        return answers

    def _take(self, text: str) -> Answer:
        one = outgoing(text)
        if not one.id:
            return one.answer("failed", "not a STIX object with an id")
        if one.id in self.refuse:
            return one.answer("failed", "refused")
        if one.key in self.held:
            return one.answer("already_present")
        self.held[one.key] = text
        return one.answer("sent")
