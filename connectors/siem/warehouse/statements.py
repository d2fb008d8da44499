"""The SQL of a table of events; every name and value in it is quoted by the driver."""

from functools import cached_property

from psycopg import sql

from huntonce.connectors.siem.warehouse.narrowing import folded
from huntonce.connectors.siem.warehouse.settings import PostgresSettings
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.windows import Window

FOLDED = sql.Identifier("folded")
"""The event's text as ``folded`` makes it, where a statement narrows."""


class Statements:
    """A table and its columns, and what is asked of them."""

    def __init__(self, settings: PostgresSettings) -> None:
        self.name = sql.Identifier(*settings.table.split("."))
        self.time = sql.Identifier(settings.time_column)
        self.computer = sql.Identifier(settings.computer_column)
        self.channel = sql.Identifier(settings.channel_column)
        self.event_id = sql.Identifier(settings.event_id_column)
        self._event = sql.Identifier(settings.event_column)

    @cached_property
    def text(self) -> sql.Composed:
        """The event as text; ``jsonb`` writes each character in one way only."""
        return sql.SQL("{}::jsonb::text").format(self._event)

    def inside(self, window: Window) -> sql.Composed:
        """The events of a window."""
        return sql.SQL("{0} >= {1} AND {0} < {2}").format(
            self.time, sql.Literal(window.start), sql.Literal(window.end)
        )

    def scope(self, place: Variant, window: Window) -> sql.Composed:
        """The events of one place of a log source in a window."""
        parts = [self.inside(window)]
        if place.channel:
            channel = sql.Literal(place.channel.lower())
            parts.append(sql.SQL("lower({}) = {}").format(self.channel, channel))
        if place.event_ids:
            ids = sql.Literal(list(place.event_ids))
            parts.append(sql.SQL("{} = ANY({})").format(self.event_id, ids))
        return sql.SQL(" AND ").join(parts)

    def select(self, scope: sql.Composed, narrow: sql.Composable | None = None) -> sql.Composed:
        """Time and text of events, oldest first."""
        if narrow is None:
            query = sql.SQL("SELECT {time}, {text} FROM {name} WHERE {scope} ORDER BY {time}")
            return query.format(time=self.time, text=self.text, name=self.name, scope=scope)
        query = sql.SQL("SELECT {time}, text FROM {inner} WHERE {narrow} ORDER BY {time}")
        return query.format(time=self.time, inner=self.narrowing(scope), narrow=narrow)

    def newest(self, scope: sql.Composed, most: int) -> sql.Composed:
        """Time and text of the newest events."""
        query = sql.SQL("SELECT {0}, {1} FROM {2} WHERE {3} ORDER BY {0} DESC LIMIT {4}")
        return query.format(self.time, self.text, self.name, scope, sql.Literal(most))

    def narrowing(self, scope: sql.Composed) -> sql.Composed:
        """The events of a scope with ``text`` and ``FOLDED``, each made once an event."""
        return sql.SQL(
            "(SELECT *, {folding} AS {folded} FROM (SELECT {time}, {event_id}, {text} AS text"
            " FROM {name} WHERE {scope} OFFSET 0) AS texts OFFSET 0) AS events"
        ).format(
            time=self.time,
            event_id=self.event_id,
            text=self.text,
            name=self.name,
            scope=scope,
            folded=FOLDED,
            folding=folded(sql.Identifier("text")),
        )

    def inventory(self, window: Window) -> sql.Composed:
        """What arrived, by the columns alone."""
        return sql.SQL(
            "SELECT {computer}, {channel}, {event_id}, date_trunc('hour', {time}), count(*),"
            " min({time}), max({time}) FROM {name} WHERE {inside}"
            " AND {computer} IS NOT NULL AND {channel} IS NOT NULL AND {event_id} IS NOT NULL"
            " GROUP BY 1, 2, 3, 4"
        ).format(
            computer=self.computer,
            channel=self.channel,
            event_id=self.event_id,
            time=self.time,
            name=self.name,
            inside=self.inside(window),
        )
