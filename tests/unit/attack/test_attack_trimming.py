from typing import Any

import pytest

from huntonce.models.attack import load_catalogue, read_catalogue
from huntonce.models.attack_data import external_id, pack, trim
from huntonce.models.errors import ConfigError


def attack(kind: str, number: str, **more: Any) -> dict[str, Any]:
    reference = {"source_name": "mitre-attack", "external_id": number}
    return {
        "type": kind,
        "id": f"{kind}--{number}",
        "name": f"the {number}",
        "external_references": [{"source_name": "other"}, reference],
        **more,
    }


def edge(kind: str, source: str, target: str) -> dict[str, Any]:
    return {
        "type": "relationship",
        "id": f"relationship--{source}-{target}",
        "relationship_type": kind,
        "source_ref": source,
        "target_ref": target,
    }


def bundle() -> list[dict[str, Any]]:
    return [
        {"type": "x-mitre-collection", "id": "x-mitre-collection--1", "x_mitre_version": "20.0"},
        attack("x-mitre-tactic", "TA0003", x_mitre_shortname="persistence"),
        attack(
            "attack-pattern",
            "T1001",
            description="a long text",
            kill_chain_phases=[{"phase_name": "persistence"}],
            x_mitre_platforms=["Windows", "Linux"],
        ),
        attack("attack-pattern", "T1002", revoked=True),
        attack("attack-pattern", "T1003", x_mitre_deprecated=True),
        edge("revoked-by", "attack-pattern--T1002", "attack-pattern--T1001"),
        attack(
            "x-mitre-detection-strategy",
            "DET0001",
            x_mitre_analytic_refs=["x-mitre-analytic--AN0001", "x-mitre-analytic--gone"],
        ),
        edge("detects", "x-mitre-detection-strategy--DET0001", "attack-pattern--T1001"),
        attack("x-mitre-data-component", "DC0001"),
        attack(
            "x-mitre-analytic",
            "AN0001",
            x_mitre_platforms=["Windows"],
            x_mitre_log_source_references=[
                {
                    "x_mitre_data_component_ref": "x-mitre-data-component--DC0001",
                    "name": "WinEventLog:Security",
                    "channel": "EventCode=1",
                }
            ],
            x_mitre_mutable_elements=[{"field": "TimeWindow", "description": "long"}],
        ),
        attack("intrusion-set", "G0001", aliases=["the G0001", "Other Name"]),
        attack("malware", "S0001", revoked=True),
    ]


def test_trimming_keeps_facts_and_leaves_descriptions_out() -> None:
    packed = pack(trim(bundle()))
    catalogue = read_catalogue(packed)

    assert catalogue.version == "20.0"
    assert catalogue.techniques["T1001"].platforms == ("Linux", "Windows")
    assert catalogue.resolve("T1002").id == "T1001"
    assert catalogue.resolve("T1003").usable is False
    (analytic,) = catalogue.analytics["T1001"]
    assert analytic.log_sources[0].component == "DC0001"
    assert analytic.fields == ("TimeWindow",)
    assert catalogue.named["other name"].id == "G0001"
    assert "s0001" not in catalogue.named
    assert b"long" not in str(trim(bundle())).encode()


def test_trimming_the_same_bundle_in_any_order_gives_the_same_bytes() -> None:
    assert pack(trim(bundle())) == pack(trim(reversed(bundle())))


def test_every_copy_carries_the_copyright_designation_and_the_licence() -> None:
    document = trim(bundle())

    assert "The MITRE Corporation" in document["notice"]
    assert "non-exclusive, royalty-free license" in document["license"]
    assert load_catalogue().notice == document["notice"]


@pytest.mark.parametrize(
    "objects", [[], [attack("malware", "S0001")], [{**attack("attack-pattern", "T1001")}, 7]]
)
def test_what_is_no_attack_bundle_is_a_configuration_error(objects: list[Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        trim(objects, "18.1")

    assert "enterprise-attack.json" in caught.value.hint


def test_a_technique_without_a_name_is_a_configuration_error() -> None:
    nameless = attack("attack-pattern", "T1001")
    del nameless["name"]

    with pytest.raises(ConfigError):
        trim([nameless])


def test_an_odd_external_id_counts_as_none() -> None:
    assert external_id(attack("attack-pattern", "T1001.001")) == "T1001.001"
    assert external_id(attack("attack-pattern", "<script>")) == ""
    assert external_id({}) == ""
