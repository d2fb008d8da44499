"""The lake with searches that are counted together: a probe asks dozens at once.

Above the lake and the sweep, so that the one need not know the other.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property

import pyarrow as pa
from typing_extensions import override

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.sweep.counting import Counted, count_all, countable
from huntonce.connectors.siem.sweep.surveying import SurveyFile, Surveyor, Unusual
from huntonce.connectors.sigma.rules import search_rule
from huntonce.models.errors import ConnectorError, DomainError
from huntonce.models.query import SigmaSearch
from huntonce.models.windows import Window


class CountedLake(Lake):
    """The same events and answers."""

    @cached_property
    def _surveyor(self) -> Surveyor:
        return Surveyor()

    @override
    def counts_of(
        self, queries: Sequence[SigmaSearch], window: Window
    ) -> Sequence[pa.Table | ConnectorError]:
        """As ``counts`` of each, in one pass over the events where that is possible."""
        together: dict[int, Counted] = {}
        for number, query in enumerate(queries):
            with suppress(DomainError):
                counted = countable(search_rule(query))
                if counted is not None:
                    together[number] = counted
        found: dict[int, pa.Table | ConnectorError] = {}
        with suppress(Unusual):  # then each by itself
            tables = self._count_all(list(together.values()), window)
            found.update(zip(together, tables, strict=True))
        alone = [number for number in range(len(queries)) if number not in found]
        answers = super().counts_of([queries[number] for number in alone], window)
        found.update(zip(alone, answers, strict=True))
        return [found[number] for number in range(len(queries))]

    def _count_all(self, searches: Sequence[Counted], window: Window) -> Sequence[pa.Table]:
        def files(channel: str) -> list[SurveyFile]:
            return self._survey(channel, window)

        try:
            return count_all(self._surveyor, files, searches, window)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable("", error) from error

    def _survey(self, channel: str, window: Window) -> list[SurveyFile]:
        """The files of a channel, "" for every channel, of the days that a window touches."""
        found = []
        for path in self._files(channel, window):
            try:
                file = self._surveyor.file(path, path.parent.parent.name)
            except (pa.ArrowException, OSError) as error:
                raise self._unreadable(path.name, error) from error
            if file.classes.runs:
                found.append(file)
        return found
