"""The tables, as the code sees them; the migrations build them, and a test compares the two."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from huntonce.models.entity import Kind
from huntonce.models.state.columns import CleanText, UtcTime

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _entity_table(name: str) -> Table:
    """One table a kind of thing, all of the same shape; ``doc`` is the thing itself."""
    return Table(
        name,
        METADATA,
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("id", String(32), nullable=False, unique=True),
        Column("key", String(256), nullable=False, unique=True),
        Column("state", String(32), nullable=False, index=True),
        Column("parent", String(256), index=True),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        Column("version", Integer, nullable=False),
        Column("doc", Text, nullable=False),
    )


ENTITY_TABLES = {
    Kind.HYPOTHESIS: _entity_table("hypothesis"),
    Kind.HUNT: _entity_table("hunt_run"),
    Kind.GAP: _entity_table("gap"),
    Kind.FINDING: _entity_table("finding"),
    Kind.DETECTION: _entity_table("detection"),
    Kind.CASE: _entity_table("incident_case"),
    Kind.PROPOSAL: _entity_table("proposal"),
    Kind.PUBLICATION: _entity_table("publication"),
}

HUNT_CLAIM = Table(
    "hunt_claim",
    METADATA,
    Column("key", String(256), primary_key=True),
    Column("run", String(32), nullable=False, index=True),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("taken_at", UtcTime, nullable=False),
)

# What a verdict stands on, so that the database itself refuses one that is unproven. ``dark`` is
# the number of required evidence groups that were live nowhere.
HUNT_VERDICT = Table(
    "hunt_verdict",
    METADATA,
    Column("hunt", String(32), primary_key=True),
    Column("verdict", String(32), nullable=False),
    Column("executed", Integer, nullable=False),
    Column("power", Float, nullable=False),
    Column("floor", Float, nullable=False),
    Column("dark", Integer, nullable=False),
    CheckConstraint(
        "verdict <> 'ruled_out' OR (executed > 0 AND power > 0 AND power >= floor AND dark = 0)",
        name="ck_hunt_verdict_proven",
    ),
)

COUNTER = Table(
    "counter",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("last", Integer, nullable=False),
)

TRANSITION_LOG = Table(
    "transition_log",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(32), nullable=False, index=True),
    Column("before", String(32), nullable=False),
    Column("after", String(32), nullable=False),
    Column("at", UtcTime, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

LOG_HEAD = Table(
    "log_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)

# ``revision`` is what makes a version the same one: its time in normal form, or the hash of the
# content where an object has no version. ``moment`` orders the versions of one object: the same
# normal form, "" without a version. Collation C: other ones do not look at punctuation first.
_ORDERED = String(80).with_variant(String(80, collation="C"), "postgresql")
INTEL_OBJECT = Table(
    "intel_object",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("object_id", CleanText, nullable=False),
    Column("revision", _ORDERED, nullable=False),
    Column("moment", _ORDERED, nullable=False),
    Column("version", CleanText, nullable=False),
    Column("type", CleanText, nullable=False, index=True),
    Column("spec_version", CleanText, nullable=False),
    Column("created_by", CleanText, nullable=False),
    Column("revoked", Boolean, nullable=False),
    Column("tlp", String(16), nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("added_at", UtcTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("object_id", "revision"),
)
Index("ix_intel_object_newest", *(INTEL_OBJECT.c[name] for name in ("object_id", "moment")))

INTEL_FEED_OBJECT = Table(
    "intel_feed_object",
    METADATA,
    Column("object_number", ForeignKey("intel_object.number"), primary_key=True),
    Column("feed", String(256), primary_key=True),
    Column("first_at", UtcTime, nullable=False),
)

INTEL_CONFLICT = Table(
    "intel_conflict",
    METADATA,
    Column("object_number", ForeignKey("intel_object.number"), primary_key=True),
    Column("feed", String(256), primary_key=True),
    Column("first_at", UtcTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

INTEL_CURSOR = Table(
    "intel_cursor",
    METADATA,
    Column("feed", String(256), primary_key=True),
    Column("cursor", CleanText, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

# The bytes as received of what was upgraded from STIX 2.0; ``intel_object.body`` is the upgrade.
INTEL_ORIGINAL = Table(
    "intel_original",
    METADATA,
    Column("object_number", ForeignKey("intel_object.number"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

# What an indicator claims: the same for the same pattern under another id.
INTEL_CLAIM = Table(
    "intel_claim",
    METADATA,
    Column("object_number", ForeignKey("intel_object.number"), primary_key=True),
    Column("claim", String(64), nullable=False, index=True),
)

INTEL_FEED = Table(
    "intel_feed",
    METADATA,
    Column("feed", String(256), primary_key=True),
    Column("selection", String(64), nullable=False),
    Column("pulls", Integer, nullable=False),
    Column("pulled_at", UtcTime),
    Column("succeeded_at", UtcTime),
    Column("failed_at", UtcTime),
    Column("failures", Integer, nullable=False),
    Column("fault", String(16), nullable=False),
    Column("error", CleanText, nullable=False),
    Column("hint", CleanText, nullable=False),
    Column("new", Integer, nullable=False),
    Column("updated", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("set_aside", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
)

# Files that a feed delivered whole, by the hash of their bytes: they need not be read again.
INTEL_DELIVERY = Table(
    "intel_delivery",
    METADATA,
    Column("feed", String(256), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("objects", Integer, nullable=False),
    Column("first_at", UtcTime, nullable=False),
)

SET_ASIDE = Table(
    "set_aside",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("kind", String(16), nullable=False, index=True),
    Column("source", CleanText, nullable=False),
    Column("place", CleanText, nullable=False),
    Column("reason", CleanText, nullable=False),
    Column("hint", CleanText, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("feed", CleanText, nullable=False, server_default=""),
    Column("tried_at", UtcTime),
    Column("taken_at", UtcTime),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("key", String(256), nullable=False, unique=True),
    Column("channel", String(16), nullable=False),
    Column("action", String(32), nullable=False),
    Column("target", CleanText, nullable=False),
    Column("subject", CleanText, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("remote_id", CleanText, nullable=False),
    Column("error", CleanText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("claimed_at", UtcTime),
    Column("sent_at", UtcTime),
)
Index("ix_outbox_waiting", OUTBOX.c.state, OUTBOX.c.number)

# The built-in desks are another system that happens to live in the same database: the units of
# work never touch these three, and the desks touch no other.
DESK_TICKET = Table(
    "desk_ticket",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("key", String(256), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("doc", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

DESK_COMMENT = Table(
    "desk_comment",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("ticket", ForeignKey("desk_ticket.number"), nullable=False, index=True),
    Column("text", CleanText, nullable=False),
    Column("at", UtcTime, nullable=False),
)

DESK_CASE = Table(
    "desk_case",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("key", String(256), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("doc", Text, nullable=False),
    Column("determination", String(32), nullable=False),
    Column("note", CleanText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
)
