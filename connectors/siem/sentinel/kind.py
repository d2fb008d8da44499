"""Microsoft Sentinel as a kind of SIEM."""

from huntonce.connectors.siem.registry import SiemKind
from huntonce.connectors.siem.sentinel.rules import SentinelRules
from huntonce.connectors.siem.sentinel.settings import SentinelSettings
from huntonce.connectors.siem.sentinel.siem import SentinelSiem

KIND = SiemKind(SentinelSettings, SentinelSiem, SentinelRules)
