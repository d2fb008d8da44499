"""Kinds of SIEM: ours, and those of installed packages."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from pydantic import BaseModel

from huntonce.connectors.siem import registry
from huntonce.connectors.siem.memory import MemorySiem
from huntonce.connectors.siem.registry import SiemKind, find_kind, kinds, read_settings
from huntonce.models.errors import ConfigError


class AcmeSettings(BaseModel):
    kind: str
    folder: Path = Path("events")


KIND = SiemKind(AcmeSettings, lambda _, name: MemorySiem(name=name))
NO_KIND = 3


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(*, group: str, name: str | None = None) -> EntryPoints:
        found = [
            EntryPoint("acme", f"{__name__}:KIND", registry.GROUP),
            EntryPoint("wrong", f"{__name__}:NO_KIND", registry.GROUP),
            EntryPoint("gone", "no_such_module:KIND", registry.GROUP),
            EntryPoint("opensearch", f"{__name__}:KIND", registry.GROUP),
        ]
        return EntryPoints(p for p in found if name in (None, p.name) and p.group == group)

    def loaded(point: EntryPoint) -> object:
        if point.module == __name__:
            return globals()[point.attr]
        raise ModuleNotFoundError(point.module)

    monkeypatch.setattr(registry, "entry_points", points)
    monkeypatch.setattr(EntryPoint, "load", loaded)


def test_a_package_can_bring_a_kind() -> None:
    kind, settings = read_settings("logs", {"kind": "acme"}, Path("/home"))

    assert "acme" in kinds()
    assert kind.open(settings, "logs").name == "logs"
    assert settings.model_dump()["folder"] == Path("/home/events")


def test_a_package_cannot_take_the_place_of_ours() -> None:
    assert find_kind("opensearch") is not KIND


@pytest.mark.parametrize(
    ("name", "why"), [("nothing", "acme"), ("wrong", "SiemKind"), ("gone", "does not load")]
)
def test_a_kind_that_is_none_is_a_setting_to_mend(name: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_kind(name)

    assert why in f"{caught.value} {caught.value.hint}"
