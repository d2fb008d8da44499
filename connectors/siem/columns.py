"""Fields that a rule names, as the columns in which one place records them."""

from collections.abc import Iterable

from huntonce.connectors.siem.fieldnames import RECORD_FIELDS, FieldNames
from huntonce.connectors.sigma.duckdb_backend import quote_name, quote_text
from huntonce.connectors.sigma.logsource import Variant

_NUMBERS = frozenset({"@event_id", "@record_id"})
_META_OUTPUT = frozenset({"@time_note", "@source", "@provider", "@computer"})
"""What the lake noted of a record; can be asked for by these names, not searched."""

_ABSENT = "CAST(NULL AS VARCHAR)"


class VariantColumns:
    """Resolves Sigma field names for one variant of a log source to SQL (``FieldSql``).

    Only names of columns that exist reach the query; any other is NULL.
    """

    def __init__(self, variant: Variant, columns: Iterable[str]) -> None:
        self._names = FieldNames(variant, columns)
        self.named: dict[str, str | None] = {}

    def text(self, field: str) -> str:
        """The field as VARCHAR; notes that it was named."""
        expression, column = self._text(field)
        self.named[field] = column
        return expression

    def number(self, field: str) -> str:
        """The field as a number; notes that it was named."""
        column = self._names.find(field)
        if column in _NUMBERS:
            return quote_name(column)
        return f"TRY_CAST({self.text(field)} AS DOUBLE)"

    def everything(self) -> str:
        """All values of the event."""
        entries = [_entry(column) for column in dict.fromkeys(RECORD_FIELDS.values())]
        own = [quote_name(column) for column in self._names.own]
        return f"[{', '.join([*entries, *own])}]"

    def projection(self, field: str) -> str:
        """The field as VARCHAR, for output only; also ``@time_note`` and ``@source``."""
        if field in _META_OUTPUT:
            return quote_name(field)
        return self._text(field)[0]

    def _text(self, field: str) -> tuple[str, str | None]:
        """Expression, and the column or record entry it reads; None where the field is absent."""
        column = self._names.find(field)
        if column is None:
            return _ABSENT, None
        if column.startswith("@"):
            return _entry(column), column
        expression = quote_name(column)
        if table := self._names.meanings(field):
            cases = " ".join(
                f"WHEN {quote_text(recorded)} THEN {quote_text(meant)}"
                for recorded, meant in table.items()
            )
            expression = f"(CASE {expression} {cases} ELSE {expression} END)"
        return expression, column


def _entry(column: str) -> str:
    return f"CAST({quote_name(column)} AS VARCHAR)" if column in _NUMBERS else quote_name(column)
