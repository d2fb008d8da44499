"""A small TAXII 2.1 server over SQLAlchemy: collections, users, read and write rights."""

from huntonce.connectors.intel.taxii_server.app import create_app
from huntonce.connectors.intel.taxii_server.server import TaxiiServer, serve
from huntonce.connectors.intel.taxii_server.settings import CollectionSpec, ServerSettings, User

__all__ = ["CollectionSpec", "ServerSettings", "TaxiiServer", "User", "create_app", "serve"]
