"""Fields that a rule names, as the columns in which one place records them."""

from collections.abc import Iterable

from huntonce.connectors.sigma.duckdb_backend import quote_name, quote_text
from huntonce.connectors.sigma.logsource import Variant

_META_TEXT = {
    "channel": '"@channel"',
    "provider_name": '"@provider"',
    "computer": '"@computer"',
    "computername": '"@computer"',
    "hostname": '"@computer"',
    "eventid": 'CAST("@event_id" AS VARCHAR)',
    "eventrecordid": 'CAST("@record_id" AS VARCHAR)',
}
_META_OUTPUT = frozenset({"@time_note", "@source", "@provider", "@computer"})
"""What the lake noted of a record; can be asked for by these names, not searched."""

_META_NUMBER = {"eventid": '"@event_id"', "eventrecordid": '"@record_id"'}
_ABSENT = "CAST(NULL AS VARCHAR)"
_FIRST_CHOICE = frozenset({"eventid", "channel"})


class VariantColumns:
    """Resolves Sigma field names for one variant of a log source (``FieldSql``).

    A name is looked up without regard to case, then among the record's own entries, then without
    what is no letter or digit: ``Provider_Name`` is the record's, though some event may have a
    field ``ProviderName``. Only names of columns that exist reach the query; any other is NULL.
    """

    def __init__(self, variant: Variant, columns: Iterable[str]) -> None:
        self._renames = {name.lower(): to for name, to in variant.renames.items()}
        self._values = {name.lower(): table for name, table in variant.values.items()}
        self._columns: dict[str, str] = {}
        self._loose: dict[str, str] = {}
        for column in columns:
            if column.startswith("@"):
                continue
            self._columns.setdefault(column.lower(), column)
            self._loose.setdefault(_letters(column), column)
        self.named: dict[str, str | None] = {}

    def column(self, field: str) -> str | None:
        """The column that carries a field; None where there is none."""
        wanted = self._renames.get(field.lower(), field).lower()
        exact = self._columns.get(wanted)
        if exact is not None or wanted in _META_TEXT:
            return exact
        return self._loose.get(_letters(wanted))

    def text(self, field: str) -> str:
        """The field as VARCHAR; notes that it was named."""
        expression, column = self._text(field)
        self.named[field] = column
        return expression

    def number(self, field: str) -> str:
        """The field as a number; notes that it was named."""
        if field.lower() in _META_NUMBER:
            return _META_NUMBER[field.lower()]
        return f"TRY_CAST({self.text(field)} AS DOUBLE)"

    def everything(self) -> str:
        """All values of the event."""
        own = [quote_name(column) for column in self._columns.values()]
        return f"[{', '.join([*dict.fromkeys(_META_TEXT.values()), *own])}]"

    def projection(self, field: str) -> str:
        """The field as VARCHAR, for output only; also ``@time_note`` and ``@source``."""
        if field in _META_OUTPUT:
            return quote_name(field)
        return self._text(field)[0]

    def _text(self, field: str) -> tuple[str, str | None]:
        """Expression, and the column or record entry it reads; None where the field is absent."""
        lower = field.lower()
        if lower in _FIRST_CHOICE:
            return _META_TEXT[lower], lower
        column = self.column(field)
        if column is None:
            return _META_TEXT.get(lower, _ABSENT), lower if lower in _META_TEXT else None
        expression = quote_name(column)
        if table := self._values.get(lower):
            cases = " ".join(
                f"WHEN {quote_text(recorded)} THEN {quote_text(meant)}"
                for recorded, meant in table.items()
            )
            expression = f"(CASE {expression} {cases} ELSE {expression} END)"
        return expression, column


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
