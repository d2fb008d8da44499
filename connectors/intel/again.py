"""The checks of intake once more, on what was set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huntonce.connectors.intel.batch import Intake, refusal
from huntonce.connectors.intel.bundles import document_fault
from huntonce.connectors.intel.scan import scan
from huntonce.connectors.intel.selection import Selection
from huntonce.models.intel import IntelObject
from huntonce.models.setaside import SetAside
from huntonce.models.tlp import MARKINGS, Levels, Tlp


@dataclass(frozen=True, slots=True)
class FeedRules:
    """How the deliveries of one feed are read.

    Attributes:
        default_tlp: What unmarked objects count as.
        wanted: What is taken of them.
    """

    default_tlp: Tlp
    wanted: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class CheckAgain:
    """Checks what was set aside under the rules of today.

    Attributes:
        usual: Rules of the feeds that have none of their own.
        feeds: Rules by name of the feed.
        markings: TLP levels by marking id.
    """

    usual: FeedRules
    feeds: Mapping[str, FeedRules] = field(default_factory=dict)
    markings: Levels = field(default_factory=lambda: dict(MARKINGS))

    def __call__(
        self, feed: str, item: SetAside
    ) -> tuple[Sequence[IntelObject], Sequence[SetAside]]:
        """What passes now, and what does not."""
        rules = self.feeds.get(feed, self.usual)
        intake = Intake(item.source, rules.default_tlp, dict(self.markings), rules.wanted)
        bodies = [item.payload]
        if item.place == "file":
            document = scan(item.payload)
            fault = document_fault(document)
            if fault is not None:
                reason, hint = fault
                return (), (refusal(item.source, "file", reason, item.payload, hint),)
            bodies = document.objects
        objects, refused = intake.take(bodies, first=None)
        return objects, refused
