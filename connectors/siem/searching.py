"""What every SIEM of ours makes of a search: one parsed Sigma rule, a window, fields, a limit."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from sigma.rule import SigmaRule
from typing_extensions import override

from huntonce.connectors.siem.session import terminal
from huntonce.connectors.sigma.rules import parse_rule, search_rule
from huntonce.models.ports import Siem
from huntonce.models.query import SearchResult, SigmaSearch
from huntonce.models.windows import Window

DEFAULT_LIMIT = 1_000_000
"""Events that a search by rule gives at most."""


class SearchingSiem(Siem, ABC):
    """A SIEM that searches by ``_search``, whatever a search is given as.

    Args:
        name: Registered name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    @override
    def name(self) -> str:
        return self._name

    @override
    def search(self, query: SigmaSearch, window: Window) -> SearchResult:
        with terminal(self._name, query.name):
            rule = search_rule(query)
        return self._search(rule, window, query.fields, query.limit)

    @override
    def search_rule(self, rule: str, window: Window, fields: Sequence[str] = ()) -> SearchResult:
        with terminal(self._name, "the rule"):
            parsed = parse_rule(rule)
        return self._search(parsed, window, fields, DEFAULT_LIMIT)

    @abstractmethod
    def _search(
        self, rule: SigmaRule, window: Window, fields: Sequence[str], limit: int
    ) -> SearchResult:
        """What a rule matches; errors as ``Siem.search``."""
