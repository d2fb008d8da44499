"""Detecting: from a finding to a Sigma rule, and the rate of its alerts."""

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import yaml
from typing_extensions import override

from huntonce.models.finding import Finding
from huntonce.models.huntdef import DetectionTemplate, HuntDefinition
from huntonce.models.ids import digest, stable_uuid

EXACT_UP_TO = 200
NORMAL_975 = 1.959963984540054
"""The normal distribution's 97.5 % point."""


def applicable(finding: Finding, definition: HuntDefinition) -> tuple[DetectionTemplate, ...]:
    """Templates whose needs the finding's analytics meet, in the definition's order."""
    fired = set(finding.analytics)
    return tuple(
        template
        for template in definition.detections
        if all(met(need, fired) for need in template.needs)
    )


def met(need: str, fired: set[str]) -> bool:
    """Whether a need of a template (``a|b``, ``a*``) is among the analytics that fired."""
    return any(
        any(name.startswith(choice[:-1]) for name in fired)
        if choice.endswith("*")
        else choice in fired
        for choice in need.split("|")
    )


def rule_id(definition: HuntDefinition, template: DetectionTemplate) -> str:
    """The rule's UUID: one a hunt and pattern, the same wherever it is promoted."""
    return str(stable_uuid("detection", definition.id, template.name))


def sigma_rule(
    template: DetectionTemplate,
    definition: HuntDefinition,
    *,
    tactics: Sequence[str],
    references: Sequence[str],
    author: str,
    today: date,
    modified: date | None = None,
) -> str:
    """The rule as Sigma YAML (specification 2.1), as SigmaHQ writes them.

    Links to ATT&CK are left out: the tags say it, and SigmaHQ asks for it so.
    """
    links = dict.fromkeys([*references, *definition.references])
    rule: dict[str, object] = {
        "title": template.title,
        "id": rule_id(definition, template),
        "status": "experimental",
        "description": _paragraph(template.description),
        "references": [link for link in links if "//attack.mitre.org/" not in link],
        "author": author,
        "date": today,
        "modified": modified,
        "tags": [
            *(f"attack.{tactic}" for tactic in tactics),
            *(f"attack.{technique.lower()}" for technique in definition.techniques),
        ],
        "logsource": dict(template.logsource),
        "detection": _quoted(_plain(template.detection)),
        "falsepositives": list(template.falsepositives),
        "level": template.level,
    }
    return as_yaml({key: value for key, value in rule.items() if value not in (None, [])})


def as_yaml(document: Mapping[str, object]) -> str:
    """YAML as SigmaHQ lays it out: four spaces, lists indented, nothing folded."""
    return yaml.dump(
        document,
        Dumper=_Sigma,
        sort_keys=False,
        allow_unicode=True,
        width=1_000_000,
        indent=4,
        default_flow_style=False,
    )


def with_status(rule: str, status: str, today: date) -> str:
    """The same rule with another status, dated anew; the rest of its text stays as it is."""
    lines = rule.splitlines(keepends=True)
    kept = [line for line in lines if not re.match(r"modified\s*:", line)]
    made = []
    for line in kept:
        made.append(re.sub(r"^status\s*:.*", f"status: {status}", line))
        if re.match(r"date\s*:", line) and today.isoformat() not in line:
            made.append(f"modified: {today.isoformat()}\n")
    return "".join(made)


class _Quoted(str):
    """A value of a detection: in single quotes, as SigmaHQ writes them."""

    __slots__ = ()


class _Block(str):
    """A text of several lines, in a literal block."""

    __slots__ = ()


class _Sigma(yaml.SafeDumper):
    @override
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


_Sigma.add_representer(
    _Quoted, lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", data, style="'")
)
_Sigma.add_representer(
    _Block, lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|")
)


def _paragraph(text: str) -> str:
    lines = textwrap.wrap(" ".join(text.split()), 96, break_long_words=False)
    return lines[0] if len(lines) == 1 else _Block("\n".join(lines) + "\n")


def _quoted(detection: object, key: str = "") -> object:
    match detection:
        case dict():
            return {name: _quoted(value, name) for name, value in detection.items()}
        case list():
            return [_quoted(item) for item in detection]
        case str() if key != "condition":
            return _Quoted(detection)
        case _:
            return detection


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


_STAMPS = frozenset({"status", "modified"})
"""What a promotion changes of a rule without changing what it finds."""


def canonical_sha256(rule: str) -> str:
    """Hash of a rule's meaning: its YAML as data, whatever the layout, status and last change."""
    document = yaml.safe_load(rule)
    if isinstance(document, dict):
        document = {key: value for key, value in document.items() if key not in _STAMPS}
    return digest(document)


def logic_sha256(rule: str) -> str:
    """Hash of a rule without its references: new intel on a behaviour does not change its rule."""
    document = yaml.safe_load(rule)
    document.pop("references", None)
    return canonical_sha256(yaml.safe_dump(document))


def set_aside(origin: Mapping[str, object], *, gone: str, kept: str) -> dict[str, object]:
    """A detection's origin, with the rule that people chose not to have beside the one they have.

    A hunt that would write such a rule again leaves the detection as it is.
    """
    listed = origin.get("set_aside")
    before = {str(one) for one in listed} if isinstance(listed, list | tuple) else set()
    return {**origin, "set_aside": sorted((before | {logic_sha256(gone)}) - {logic_sha256(kept)})}


def poisson_interval(events: int, exposure: float) -> tuple[float, float]:
    """Exact 95 % interval of a Poisson rate (Garwood 1936), in events a unit of exposure.

    Above ``EXACT_UP_TO`` events by the formula of Wilson and Hilferty (1931), which differs from
    it by less than one part in a hundred thousand there and costs nothing.

    Raises:
        ValueError: The exposure is not positive.
    """
    if exposure <= 0:
        raise ValueError("exposure must be positive")
    if events > EXACT_UP_TO:
        return _cubed(events, -1) / exposure, _cubed(events + 1, 1) / exposure
    low = 0.0 if events == 0 else _bisect(lambda rate: 1 - _cdf(events - 1, rate), 0.025)
    high = _bisect(lambda rate: -_cdf(events, rate), -0.025)
    return low / exposure, high / exposure


def _cubed(count: int, sign: int) -> float:
    return count * (1 - 1 / (9 * count) + sign * NORMAL_975 / (3 * math.sqrt(count))) ** 3


def _cdf(count: int, rate: float) -> float:
    if rate <= 0:
        return 1.0
    logs = (k * math.log(rate) - rate - math.lgamma(k + 1) for k in range(count + 1))
    return min(1.0, math.fsum(math.exp(value) for value in logs))


def _bisect(rising: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    while rising(high) < target:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return (low + high) / 2
