"""The store: SQLAlchemy tables, unit of work, migrations."""
