import pytest

from huntonce.connectors.sigma.channels import SYSMON, canonical_channel
from huntonce.connectors.sigma.logsource import variants
from huntonce.models.errors import DomainError


def places(**logsource: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(variant.channel, variant.event_ids) for variant in variants(logsource)]


def test_process_creation_is_recorded_in_two_places() -> None:
    assert places(category="process_creation", product="windows") == [
        (SYSMON, (1,)),
        ("Security", (4688,)),
    ]


def test_a_service_narrows_a_category() -> None:
    assert places(category="process_creation", service="sysmon") == [(SYSMON, (1,))]


@pytest.mark.parametrize(
    ("category", "event_ids"),
    [
        ("registry_event", (12, 13, 14)),
        ("registry_set", (13,)),
        ("pipe_created", (17, 18)),
        ("wmi_event", (19, 20, 21)),
    ],
)
def test_a_category_is_its_sysmon_ids(category: str, event_ids: tuple[int, ...]) -> None:
    assert places(category=category, product="windows") == [(SYSMON, event_ids)]


def test_all_of_windows_is_every_channel() -> None:
    assert places(product="windows") == [("", ())]


@pytest.mark.parametrize(
    "logsource", [{"product": "linux", "category": "process_creation"}, {"category": "proxy"}]
)
def test_another_product_is_nowhere(logsource: dict[str, str]) -> None:
    assert places(**logsource) == []


@pytest.mark.parametrize(
    "logsource",
    [{}, {"product": "windows", "service": "new"}, {"product": "windows", "category": "new"}],
)
def test_an_unknown_log_source_is_a_fault(logsource: dict[str, str]) -> None:
    with pytest.raises(DomainError):
        variants(logsource)


def test_a_channel_has_one_spelling() -> None:
    assert canonical_channel("security") == "Security"
    assert canonical_channel("MICROSOFT-WINDOWS-SYSMON/OPERATIONAL") == SYSMON
    assert canonical_channel("Some-Vendor/Log") == "Some-Vendor/Log"
