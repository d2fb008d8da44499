"""Visibility files: what probes measured, as DeTT&CT and the Navigator read it. No Prefect."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from huntonce.flows.bootstrap import Home
from huntonce.flows.files import replace_file
from huntonce.models.errors import ConfigError
from huntonce.models.report.visibility import Measured, data_sources, layer, techniques
from huntonce.models.stages.operate import default_window
from huntonce.models.stages.probe import look_for_all

DATA_SOURCES = "dettect-data-sources.yaml"
TECHNIQUES = "dettect-techniques.yaml"
LAYER = "navigator-visibility.json"


class _Plain(yaml.SafeDumper):
    """Without anchors: DeTT&CT's editor writes none, and people read these files."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def _yaml(document: object) -> str:
    return str(yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100))


def measure(home: Home, siem: str = "lake") -> tuple[Measured, ...]:
    """Probe every technique that has an evidence model over all that the SIEM holds.

    Raises:
        DomainError: It holds nothing.
    """
    kit = home.kit(siem)
    window = default_window(kit)
    models = [kit.library.evidence[key] for key in sorted(kit.library.evidence)]
    sights = look_for_all(
        kit.siem, models, window, kit.profile, max_lag=kit.policy.max_lag, now=kit.clock()
    )
    return tuple(
        Measured(
            model=sight.model,
            window=window,
            population=len(sight.population),
            probes=sight.probes,
            power=sight.power,
        )
        for sight in sights
    )


def write_visibility(
    home: Home, measured: Sequence[Measured], out: Path | None = None
) -> tuple[Path, ...]:
    """Write the three files into a folder (``<home>/report``); their paths.

    Raises:
        ConfigError: The folder cannot be written to.
    """
    known: dict[str, Any] = {"organisation": home.profile.name, "today": home.clock().date()}
    max_lag = home.settings.policy.max_lag_hours * 3600
    sources = data_sources(measured, home.catalogue, max_lag=max_lag, **known)
    scored = techniques(measured, home.catalogue, **known)
    contents = {
        DATA_SOURCES: _yaml(sources),
        TECHNIQUES: _yaml(scored),
        LAYER: json.dumps(layer(measured, home.catalogue, **known), indent=2) + "\n",
    }
    folder = out or home.path / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            replace_file(folder / name, text)
    except OSError as error:
        raise ConfigError(
            f"cannot write into {folder}: {error.strerror or error}",
            hint="see that the disk is not full, or name another folder with --out",
        ) from error
    return tuple(folder / name for name in contents)
