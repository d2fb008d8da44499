"""Settings from huntonce.toml and the environment."""

from pathlib import Path

import pytest

from huntonce.flows.meaning import policy_of, profile_of
from huntonce.flows.settings import FILE, Settings, load_settings
from huntonce.models.errors import ConfigError
from huntonce.models.tlp import Tlp

SECRET = "hunter2-never-shown"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 - only to see what is set

    for name in list(os.environ):
        if name.upper().startswith("HUNTONCE_"):
            monkeypatch.delenv(name)


def load(home: Path, text: str = "") -> Settings:
    if text:
        (home / FILE).write_text(text, encoding="utf-8")
    return load_settings(home)


def fault(home: Path, text: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        load(home, text)
    return f"{caught.value} | {caught.value.hint}"


def test_without_a_file_everything_has_a_value(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert settings.policy.power_floor == 0.8
    assert settings.policy.publish == "ask"
    assert settings.intel == {}


def test_the_file_gives_settings(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[policy]\npower_floor = 0.9\n[intel.partner]\nurl = "https://taxii.example/c/"\n',
    )

    assert settings.policy.power_floor == 0.9
    assert settings.intel["partner"].page_size == 500


def test_the_environment_wins_over_the_file_setting_by_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTONCE_POLICY__POWER_FLOOR", "0.7")
    monkeypatch.setenv("HUNTONCE_INTEL__PARTNER__PASSWORD", SECRET)

    settings = load(
        tmp_path,
        "[policy]\npower_floor = 0.9\ngap_passes = 5\n"
        '[intel.partner]\nurl = "https://taxii.example/c/"\nusername = "us"\n',
    )

    assert (settings.policy.power_floor, settings.policy.gap_passes) == (0.7, 5)
    assert settings.intel["partner"].username == "us"
    assert settings.intel["partner"].password.get_secret_value() == SECRET


def test_other_variables_of_huntonce_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTONCE_HOME", "/somewhere")

    assert load(tmp_path) == Settings()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[policy]\npower_floor = 2\n", "policy.power_floor"),
        ('[policy]\npublish = "always"\n', "policy.publish"),
        ("[policy]\ntypo = 1\n", "policy.typo"),
        ("[surprise]\n", "surprise"),
        ('_env_file = "x"\n', "_env_file"),
        ("[intel.a]\npage_size = 0\n", "intel.a.page_size"),
        ('[publish.a]\nurl = "x"\n', "publish.a.max_tlp"),
        ('[organisation]\ninternal_networks = ["10.0.0.0/99"]\n', "internal_networks"),
        (
            (
                "[[organisation.change_windows]]\ndays=['mon']\nstart=08:00:00\nend=09:00:00\n"
                "zone='Nowhere'\n"
            ),
            "organisation.change_windows.0.zone",
        ),
        (
            (
                "[[organisation.change_windows]]\ndays=['mon']\nstart=08:00:00\nend=09:00:00\n"
                "zone='../../etc/passwd'\n"
            ),
            "organisation.change_windows.0.zone",
        ),
        (
            "[[organisation.change_windows]]\ndays=[]\nstart=08:00:00\nend=09:00:00\n",
            "organisation.change_windows.0.days",
        ),
    ],
)
def test_a_fault_names_the_file_and_the_setting(tmp_path: Path, text: str, place: str) -> None:
    said = fault(tmp_path, text)

    assert FILE in said
    assert place in said


def test_a_fault_in_a_variable_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTONCE_POLICY__POWER_FLOOR", "much")

    assert "HUNTONCE_POLICY__POWER_FLOOR" in fault(tmp_path, "[policy]\ngap_passes = 2\n")


def test_a_section_that_is_not_json_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTONCE_INTEL", "{bad")

    assert '"intel"' in fault(tmp_path)


@pytest.mark.parametrize("content", [b"x = \n", b"\xff\xfe", b"[policy]\n[policy]\n"])
def test_what_is_not_toml_is_told_with_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)

    assert FILE in fault(tmp_path)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    assert FILE in fault(tmp_path)


SECRETS = f"""
[store]
url = "postgresql://u:{SECRET}@db.example/h"
[taxii]
password = "{SECRET}"
[intel.a]
url = "https://taxii.example/"
password = "{SECRET}"
[publish.a]
url = "https://taxii.example/"
password = "{SECRET}"
max_tlp = "green"
"""


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    settings = load(tmp_path, SECRETS)

    assert settings.publish["a"].max_tlp is Tlp.GREEN
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown


@pytest.mark.parametrize(
    "text",
    [
        f'[intel.a]\nurl = "x"\npassword = ["{SECRET}"]\n',
        f'[store]\nurl = {{a = "{SECRET}"}}\n',
        f'[taxii]\npasword = "{SECRET}"\n',
    ],
)
def test_a_faulty_secret_is_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_profile_and_the_policy_follow_the_settings(tmp_path: Path) -> None:
    (tmp_path / "assets.csv").write_text("host,ip\nPC1.corp.example,10.0.0.1\n\nPC2,\n")
    settings = load(
        tmp_path,
        '[organisation]\nassets = "assets.csv"\nplatforms = ["Windows"]\n'
        "[[organisation.change_windows]]\ndays=['sat']\nstart=22:00:00\nend=04:00:00\n"
        'zone="Europe/Berlin"\n[policy]\ndeploy = "ask"\n',
    )

    profile, policy = profile_of(settings, tmp_path), policy_of(settings)

    assert [(a.host, a.ip, a.platform) for a in profile.assets] == [
        ("PC1.corp.example", "10.0.0.1", "windows"),
        ("PC2", "", "windows"),
    ]
    assert profile.platforms == ("windows",)
    assert profile.change_windows[0].days == (5,)
    assert policy.rule("deploy").mode == "ask"


@pytest.mark.parametrize("text", ["colour,ip\nPC1,\n", "", None])
def test_an_asset_list_that_is_none_is_told(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "assets.csv").write_text(text)
    settings = load(tmp_path, '[organisation]\nassets = "assets.csv"\n')

    with pytest.raises(ConfigError, match=r"assets\.csv"):
        profile_of(settings, tmp_path)
