import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.attack import Catalogue, load_catalogue, read_catalogue
from huntonce.models.attack_data import pack
from huntonce.models.attack_types import Outcome, TechniqueState, normalise
from huntonce.models.errors import ConfigError

CATALOGUE = load_catalogue()


def test_the_shipped_catalogue_is_all_of_enterprise_attack() -> None:
    assert CATALOGUE.version == "18.1"
    assert len(CATALOGUE.techniques) == 835
    assert len(CATALOGUE.active) == 691
    assert set(CATALOGUE.analytics) == {technique.id for technique in CATALOGUE.active}
    assert "The MITRE Corporation" in CATALOGUE.notice
    assert "Windows" in CATALOGUE.platforms
    assert list(CATALOGUE.tactics)[:3] == [
        "reconnaissance",
        "resource-development",
        "initial-access",
    ]


@pytest.mark.parametrize(
    "written",
    [
        "T1053.005",
        "t1053.005",
        " T1053/005 ",
        "attack.t1053.005",
        "https://attack.mitre.org/techniques/T1053/005/",
        "https://attack.mitre.org/versions/v18/techniques/T1053/005",
    ],
)
def test_an_id_is_understood_however_it_is_written(written: str) -> None:
    assert normalise(written) == "T1053.005"
    assert CATALOGUE.resolve(written).id == "T1053.005"


@pytest.mark.parametrize(
    "written", ["", "T1", "T1053.5", "T1053.0055", "TA0005", "S0002", "T\u0661\u0660\u0665\u0663"]
)
def test_what_is_no_technique_id_is_unknown_and_says_so(written: str) -> None:
    answer = CATALOGUE.resolve(written)

    assert normalise(written) == ""
    assert (answer.outcome, answer.id) == (Outcome.UNKNOWN, "")
    assert "no technique id" in answer.why


@pytest.mark.parametrize(
    ("asked", "outcome", "found"),
    [
        ("T1053.005", Outcome.CURRENT, "T1053.005"),
        ("T1086", Outcome.REVOKED, "T1059.001"),
        ("T1574.002", Outcome.REVOKED, "T1574.001"),
        ("T1685", Outcome.FROM_V19, "T1562.001"),
        ("T1690", Outcome.FROM_V19, "T1562.003"),
        ("T1686.002", Outcome.FROM_V19, "T1562.004"),
        ("T1064", Outcome.DEPRECATED, ""),
        ("T1999", Outcome.UNKNOWN, ""),
        ("T1053.099", Outcome.UNKNOWN, ""),
    ],
)
def test_resolving_follows_what_became_of_an_id(asked: str, outcome: Outcome, found: str) -> None:
    answer = CATALOGUE.resolve(asked)

    assert (answer.outcome, answer.id, answer.usable) == (outcome, found, bool(found))
    assert asked in answer.why
    assert found in answer.why


def test_a_newer_id_that_stands_for_several_names_the_others() -> None:
    assert CATALOGUE.resolve("T1685").others == ("T1562", "T1562.006")


def test_every_revoked_technique_leads_to_an_active_one() -> None:
    revoked = [t for t in CATALOGUE.techniques.values() if t.state is TechniqueState.REVOKED]

    assert len(revoked) == 132
    for technique in revoked:
        found = CATALOGUE.technique(CATALOGUE.resolve(technique.id).id)
        assert found is not None
        assert found.state is TechniqueState.ACTIVE


@given(st.text(max_size=300))
def test_resolving_and_finding_answer_any_text(text: str) -> None:
    answer = CATALOGUE.resolve(text)
    found = CATALOGUE.find(text)

    assert answer.why
    assert len(answer.why) < 400
    assert all(technique.id in CATALOGUE.techniques for technique in found)


def circular(first: str, second: str) -> Catalogue:
    def row(technique_id: str, by: str) -> dict[str, object]:
        return {
            "id": technique_id,
            "stix": f"attack-pattern--{technique_id}",
            "name": technique_id,
            "tactics": [],
            "platforms": [],
            "state": "revoked",
            "by": by,
        }

    techniques = [row(first, second), row(second, first)]
    return Catalogue({"attack": "0", "tactics": [], "techniques": techniques})


def test_revocations_in_a_circle_or_into_nothing_end() -> None:
    assert not circular("T0001", "T0002").resolve("T0001").usable
    assert not circular("T0001", "T0003").resolve("T0001").usable


def test_finding_takes_ids_names_and_parts_of_names() -> None:
    assert [t.id for t in CATALOGUE.find("SCHEDULED task")] == ["T1053.005"]
    assert [t.id for t in CATALOGUE.find("Scheduled Task/Job: Scheduled Task")] == ["T1053.005"]
    assert [t.id for t in CATALOGUE.find("t1053.005: whatever")] == ["T1053.005"]
    assert [t.id for t in CATALOGUE.find("T1086")] == ["T1059.001"]
    assert [t.id for t in CATALOGUE.find("T1064")] == ["T1064"]
    assert {"T1003.001", "T1003.002"} <= {t.id for t in CATALOGUE.find("credential dumping")}
    assert CATALOGUE.find("  ") == ()


def test_a_technique_knows_its_name_parent_and_platforms() -> None:
    technique = CATALOGUE.by_stix_id("attack-pattern--005a06c6-14bf-4118-afa0-ebcd8aebb0c9")

    assert technique is not None
    assert (technique.id, technique.parent_id) == ("T1053.005", "T1053")
    assert technique.platforms == ("Windows",)
    assert technique.tactics == ("execution", "persistence", "privilege-escalation")
    assert CATALOGUE.name("t1053/005") == "Scheduled Task/Job: Scheduled Task"
    assert CATALOGUE.name("T9999") == "T9999"
    assert CATALOGUE.techniques["T1053"].has_subtechniques
    assert not technique.has_subtechniques


def test_analytics_carry_their_log_sources_and_fields() -> None:
    (analytic,) = CATALOGUE.analytics["T1053.005"]

    assert (analytic.id, analytic.strategy_id, analytic.platforms) == (
        "AN1221",
        "DET0441",
        ("Windows",),
    )
    assert ("WinEventLog:Security", "EventCode=4698") in {
        (source.name, source.channel) for source in analytic.log_sources
    }
    assert "TaskNamePattern" in analytic.fields


def test_groups_and_software_are_found_by_any_of_their_names() -> None:
    assert CATALOGUE.named["cozy bear"].name == "APT29"
    assert CATALOGUE.named["g0016"].name == "APT29"
    assert CATALOGUE.named["s0002"].name == "Mimikatz"


@pytest.mark.parametrize(
    "raw", [b"", b"{}", gzip.compress(b"[]", mtime=0), gzip.compress(b"{", mtime=0)]
)
def test_bytes_that_are_no_catalogue_are_a_configuration_error(raw: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        read_catalogue(raw)

    assert "huntonce attack update" in caught.value.hint


def test_a_catalogue_without_a_crosswalk_does_not_know_newer_ids() -> None:
    lists = ("tactics", "techniques", "groups", "campaigns", "software", "components")
    detections = ("strategies", "analytics", "log_sources")
    document = {"format": 1, "attack": "18.1"} | {key: [] for key in (*lists, *detections)}

    assert read_catalogue(pack(document), b"").resolve("T1685").outcome is Outcome.UNKNOWN

    del document["analytics"]
    with pytest.raises(ConfigError, match="without analytics"):
        read_catalogue(pack(document))
