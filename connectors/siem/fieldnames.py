"""Which column carries a field that a rule names: one answer for SQL and for the sweep."""

from collections.abc import Iterable

from huntonce.connectors.sigma.logsource import Variant

RECORD_FIELDS = {
    "channel": "@channel",
    "provider_name": "@provider",
    "computer": "@computer",
    "computername": "@computer",
    "hostname": "@computer",
    "eventid": "@event_id",
    "eventrecordid": "@record_id",
}
"""Field names, in lower case, that stand for what the lake notes of a record."""

_FIRST_CHOICE = frozenset({"eventid", "channel"})


class FieldNames:
    """The columns of events, found by Sigma's field names as one place of a log source has them.

    A name is looked up without regard to case, then among the record's own entries, then without
    what is no letter or digit: ``Provider_Name`` is the record's, though some event may have a
    field ``ProviderName``. The id and the channel are the record's always.
    """

    def __init__(self, place: Variant, columns: Iterable[str]) -> None:
        self._renames = {name.lower(): to for name, to in place.renames.items()}
        self._meanings = {name.lower(): table for name, table in place.values.items()}
        self._exact: dict[str, str] = {}
        self._loose: dict[str, str] = {}
        for name in columns:
            if not name.startswith("@"):
                self._exact.setdefault(name.lower(), name)
                self._loose.setdefault(_letters(name), name)

    @property
    def own(self) -> tuple[str, ...]:
        """The events' own columns; of those that differ in case only, the first."""
        return tuple(self._exact.values())

    def find(self, field: str) -> str | None:
        """The column, or the record's entry (it begins with @); None where no event has it."""
        lower = field.lower()
        if lower in _FIRST_CHOICE:
            return RECORD_FIELDS[lower]
        wanted = self._renames.get(lower, field).lower()
        if wanted in self._exact:
            return self._exact[wanted]
        return RECORD_FIELDS.get(wanted) or self._loose.get(_letters(wanted))

    def meanings(self, field: str) -> dict[str, str]:
        """What recorded values of a field mean to Sigma, where they are not what it expects."""
        return dict(self._meanings.get(field.lower(), {}))


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
