"""Detections as documents of a cluster: a saved query each, off until an operator turns it on.

A document holds the rule, its proof and the queries that it becomes. Of a rule that the cluster
cannot decide alone the queries find candidates (``complete`` is false). Nothing runs them by
itself: that is for a monitor of the operators', which looks at ``enabled``. That switch is theirs:
a rule starts off, and is only ever turned off from here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huntonce.connectors.siem.deploying import is_rule_id
from huntonce.connectors.siem.opensearch.cluster import Cluster, ConflictError
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.opensearch.siem import OpenSearchSiem
from huntonce.models.detection import HeldRule
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.ids import digest

MAPPINGS: Mapping[str, Any] = {
    "dynamic": False,
    "properties": {
        "rule_id": {"type": "keyword"},
        "title": {"type": "text"},
        "enabled": {"type": "boolean"},
        "retired": {"type": "boolean"},
        "complete": {"type": "boolean"},
        "sha256": {"type": "keyword"},
    },
}
_PARTS = ("rule", "filters", "certificate", "fixtures", "hunt")
_TRIES = 3
_PAGE = 1_000
_ABSENT = "index_not_found_exception"
_THERE = "resource_already_exists_exception"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Held:
    """A document as it is there, and what tells whether it is still so when it is written."""

    source: Document
    guard: Mapping[str, str]

    @property
    def content(self) -> Document:
        return {name: self.source.get(name) for name in ("title", "complete", "searches", "parts")}

    @property
    def untouched(self) -> bool:
        return _hash(self.content) == self.source.get("sha256")


class OpenSearchRules:
    """The rules index of a cluster.

    Args:
        settings: Of the cluster; ``rules_index`` names the index.
        name: Registered name.
    """

    def __init__(self, settings: OpenSearchSettings, name: str = "opensearch") -> None:
        self._name = name
        self._index = settings.rules_index
        self._cluster = Cluster(name, settings)
        self._siem = OpenSearchSiem(settings, name)

    @property
    def name(self) -> str:
        """Registered name of the store."""
        return self._name

    def close(self) -> None:
        """Close the connections."""
        self._cluster.close()
        self._siem.close()

    def find(self, key: str) -> str | None:
        """The rule's id, where its document is there and not retired."""
        if not is_rule_id(key):
            return None
        held = self._get(key.lower())
        return None if held is None or held.source.get("retired") else key.lower()

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        """Write or renew the rule's document; returns its id.

        The same content is written once. A new or retired rule is off; one that is there stays
        switched as the operators have it.

        Raises:
            TerminalError: It cannot be translated, or somebody changed it there and the detection
                does not say ``overwrite``.
            TransientError: The cluster did not answer, or somebody else writes it as well.
        """
        rule_id = key.lower()
        if not is_rule_id(key):
            raise self._wrong(f"{key!r} is no UUID")
        content = self._content(rule_id, detection)
        for _ in range(_TRIES):
            held = self._get(rule_id)
            if held is not None and held.content == content and not held.source.get("retired"):
                if held.untouched:
                    return rule_id
            elif held is not None and not held.untouched and not detection.get("overwrite"):
                raise TerminalError(
                    f"rule {rule_id} was changed at {self._name} and is not written over",
                    connector=self._name,
                    hint="look at the drift; adopt the change or deploy with --restore",
                )
            if self._put(rule_id, held, content):
                return rule_id
        raise self._contended(rule_id)

    def retire(self, remote_id: str) -> None:
        """Turn the rule off for good; its document stays.

        Raises:
            TerminalError: There is no such rule.
            TransientError: As ``deploy``.
        """
        for _ in range(_TRIES):
            held = self._known(remote_id)
            if held.source.get("retired"):
                return
            changed = {**held.source, "retired": True, "enabled": False}
            if self._write(remote_id.lower(), changed, held.guard):
                return
        raise self._contended(remote_id)

    # ------------------------------------------------------------ read back

    def kept(self, key: str) -> Mapping[str, str] | None:
        """Part to its text as it is there now; None where the rule is not there or retired."""
        held = self._get(key.lower()) if is_rule_id(key) else None
        if held is None or held.source.get("retired"):
            return None
        return {name: str(text) for name, text in (held.source.get("parts") or {}).items()}

    def rules(self) -> tuple[str, ...]:
        """Ids of the rules that are there and not retired, sorted."""
        return tuple(sorted(str(source["rule_id"]) for source in self._all()))

    def held(self) -> tuple[HeldRule, ...]:
        """Every rule that is there and not retired: its switch, and whether it was touched."""
        return tuple(
            HeldRule(
                rule_id=str(source["rule_id"]),
                enabled=bool(source.get("enabled")),
                untouched=_Held(source, {}).untouched,
            )
            for source in self._all()
        )

    # ------------------------------------------------------------ inside

    def _content(self, rule_id: str, detection: Mapping[str, object]) -> Document:
        rule = detection.get("rule")
        if not isinstance(rule, str) or detection.get("rule_id") not in (None, rule_id):
            raise self._wrong(f"rule {rule_id}: the detection holds no rule of that id")
        found = self._siem.translate(rule)
        searches = [
            {"index": indices, "query": json.dumps({"bool": {"filter": [scope, both.upper]}})}
            for indices, scope, both in found
        ]
        exact = bool(found) and all(both.exact for _, _, both in found)
        parts = {name: _text(detection[name]) for name in _PARTS if detection.get(name)}
        filters = detection.get("filters")
        if isinstance(filters, list | tuple) and filters:
            parts["filters"] = "---\n".join(f"{str(text).rstrip()}\n" for text in filters)
        title = str(detection.get("title") or rule_id)
        return {
            "title": title,
            "complete": exact and "filters" not in parts,
            "searches": searches,
            "parts": parts,
        }

    def _put(self, rule_id: str, held: _Held | None, content: Mapping[str, object]) -> bool:
        there = held is not None and not held.source.get("retired")
        source = {
            **content,
            "rule_id": rule_id,
            "enabled": bool(held.source.get("enabled")) if there and held else False,
            "retired": False,
            "sha256": _hash(content),
        }
        if held is None:
            return self._write(rule_id, source, {"op_type": "create"})
        return self._write(rule_id, source, held.guard)

    def _write(self, rule_id: str, source: Document, guard: Mapping[str, str]) -> bool:
        """Whether it was written; not, where somebody else wrote in between."""
        path = f"/{self._index}/_doc/{rule_id}"
        try:
            self._cluster.ask("PUT", path, source, {**guard, "refresh": "true"})
        except ConflictError:
            return False
        return True

    def _get(self, rule_id: str) -> _Held | None:
        """The document; the index is made where there is none."""
        answer = self._cluster.ask("POST", f"/{self._index}/_mget", {"ids": [rule_id]})
        (found,) = answer["docs"]
        if "error" in found:
            if _ABSENT not in json.dumps(found["error"]):
                raise TransientError(
                    f"{self._index}: the rule cannot be read", connector=self._name, hint="repeat"
                )
            self._create()
            return None
        if not found.get("found"):
            return None
        guard = {
            "if_seq_no": str(found["_seq_no"]),
            "if_primary_term": str(found["_primary_term"]),
        }
        return _Held(found["_source"], guard)

    def _create(self) -> None:
        try:
            self._cluster.ask("PUT", f"/{self._index}", {"mappings": dict(MAPPINGS)})
        except TerminalError as error:
            if _THERE not in str(error) and "already exists" not in str(error):
                raise

    def _known(self, remote_id: str) -> _Held:
        held = self._get(remote_id.lower()) if is_rule_id(remote_id) else None
        if held is None:
            raise self._wrong(f"no rule {remote_id} in {self._index}")
        return held

    def _all(self) -> list[Document]:
        found: list[Document] = []
        body: Document = {
            "size": _PAGE,
            "query": {"bool": {"must_not": [{"term": {"retired": True}}]}},
            "sort": [{"rule_id": "asc"}],
        }
        self._get("none")  # makes the index where there is none
        while True:
            hits = self._cluster.search(self._index, body)["hits"]["hits"]
            found += [hit["_source"] for hit in hits]
            if len(hits) < _PAGE:
                return found
            body["search_after"] = hits[-1]["sort"]

    def _wrong(self, message: str) -> TerminalError:
        return TerminalError(message, connector=self._name, hint="see huntonce detections")

    def _contended(self, rule_id: str) -> TransientError:
        return TransientError(
            f"rule {rule_id} is being written by somebody else", connector=self._name, hint="repeat"
        )


def _text(part: object) -> str:
    return part if isinstance(part, str) else json.dumps(part, sort_keys=True, ensure_ascii=False)


def _hash(content: Mapping[str, object]) -> str:
    return digest(json.dumps(content, sort_keys=True, ensure_ascii=False))
