"""What stores of detections at SIEMs have in common: which rule is meant, and its whole text."""

import re
from collections.abc import Mapping

from huntonce.models.errors import TerminalError

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_rule_id(key: str) -> bool:
    """Whether a key is a rule's UUID: it becomes part of an address."""
    return _UUID.fullmatch(key.lower()) is not None


def whole_rule(siem: str, rule_id: str, detection: Mapping[str, object]) -> str:
    """A detection's rule with the filters of this environment, as YAML documents.

    Raises:
        TerminalError: It holds no rule of that id, or its filters are no texts.
    """
    rule = detection.get("rule")
    if not isinstance(rule, str) or detection.get("rule_id") not in (None, rule_id):
        raise _wrong(siem, f"rule {rule_id}: the detection holds no rule of that id")
    filters = detection.get("filters") or ()
    texts = [filters] if isinstance(filters, str) else filters
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise _wrong(siem, f"rule {rule_id}: its filters are no texts")
    return "\n---\n".join([rule.rstrip(), *(text.rstrip() for text in texts if text.strip())])


def _wrong(siem: str, message: str) -> TerminalError:
    return TerminalError(message, connector=siem, hint="see huntonce detections")
