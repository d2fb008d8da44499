"""STIX objects for the tests of deriving, built from what matters to a test."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from huntonce.models.intel import Behaviour, IntelObject, SourceRef
from huntonce.models.tlp import Tlp

CREATED = "2026-08-01T00:00:00.000Z"


def build(stix_id: str, /, **content: Any) -> IntelObject:
    version = content.setdefault("modified", CREATED)
    tlp = content.pop("tlp", Tlp.GREEN)
    kind = stix_id.partition("--")[0]
    return IntelObject(
        id=stix_id,
        type=kind,
        spec_version="2.1",
        version=version if isinstance(version, str) else "",
        created_by=content.get("created_by_ref", ""),
        revoked=content.get("revoked") is True,
        tlp=tlp,
        body=b"",
        content={"type": kind, "id": stix_id, **content},
    )


class Stix:
    """Shorthands: ids are ``<type>--<name>``."""

    def __call__(self, stix_id: str, /, **content: Any) -> IntelObject:
        return build(stix_id, **content)

    def named(self, kind: str, name: str, **content: Any) -> IntelObject:
        return build(f"{kind}--{name}", **{"name": name, **content})

    def pattern(self, technique_id: str, source: str = "mitre-attack") -> IntelObject:
        reference = {"source_name": source, "external_id": technique_id}
        return build(
            f"attack-pattern--{technique_id}",
            name=f"pattern {technique_id}",
            external_references=["junk", {"source_name": "capec", "external_id": "1"}, reference],
        )

    def edge(self, source: str, verb: str, target: str, **content: Any) -> IntelObject:
        return build(
            f"relationship--{source}-{verb}-{target}",
            relationship_type=verb,
            source_ref=source,
            target_ref=target,
            **content,
        )


@pytest.fixture
def stix() -> Stix:
    return Stix()


@pytest.fixture
def claim() -> Callable[..., Behaviour]:
    def make(technique_id: str = "T1053.005", **more: Any) -> Behaviour:
        actor = more.pop("actor", "COPPER HERON")
        feed = more.pop("feed", "ours")
        report = more.pop("report", "")
        source = SourceRef(
            object_id=report or f"relationship--{actor}-{technique_id}",
            object_type="report" if report else "relationship",
            name=report or "a source",
            feed=feed,
            tlp=Tlp.GREEN,
            modified=more.pop("modified", datetime(2026, 8, 1, tzinfo=UTC)),
        )
        values = {
            "actor_type": "intrusion-set" if actor else "",
            "procedure": "",
            "sources": (source,),
        }
        return Behaviour(technique_id=technique_id, actor=actor, **(values | more))

    return make
