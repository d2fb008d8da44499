"""Splunk as a kind of SIEM."""

from huntonce.connectors.siem.registry import SiemKind
from huntonce.connectors.siem.splunk.rules import SplunkRules
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.siem.splunk.siem import SplunkSiem

KIND = SiemKind(SplunkSettings, SplunkSiem, SplunkRules)
