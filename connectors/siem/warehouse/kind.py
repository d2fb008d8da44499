"""PostgreSQL as a kind of SIEM."""

from huntonce.connectors.siem.registry import SiemKind
from huntonce.connectors.siem.warehouse.settings import PostgresSettings
from huntonce.connectors.siem.warehouse.siem import PostgresSiem

KIND = SiemKind(PostgresSettings, PostgresSiem)
