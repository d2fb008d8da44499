"""OpenSearch and Elasticsearch as kinds of SIEM."""

from huntonce.connectors.siem.opensearch.rules import OpenSearchRules
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.opensearch.siem import OpenSearchSiem
from huntonce.connectors.siem.registry import SiemKind

KIND = SiemKind(OpenSearchSettings, OpenSearchSiem, OpenSearchRules)
