"""HTML: the programme as one page that needs no network and no script.

Whatever comes from data is text: escaped, with control and direction characters made visible. The
template is ours; nothing from data is ever used as one.
"""

import itertools
import re
import unicodedata
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from huntonce.models.demand import told
from huntonce.models.report import summary, words
from huntonce.models.report.charts import charts
from huntonce.models.report.concealing import without_passwords
from huntonce.models.report.definitions import DEFINITIONS, TABLES, WHEN
from huntonce.models.report.matrix import BANDS, LAST_BAND, tactic_rows, verdicts_by_power
from huntonce.models.report.programme import Programme

LIMITS = {
    "hunts": 15,
    "hunt_rows": 60,
    "fixes": 8,
    "table": 12,
    "sources": 40,
    "findings": 12,
    "hypotheses": 100,
    "gaps": 60,
    "detections": 60,
    "cases": 40,
    "events": 100,
    "names": 400,
    "publications": 120,
    "set_aside": 100,
    "characters": 20_000,
}
"""Most of each thing that one page shows; the page says how many more the store holds."""

_TECHNIQUE = re.compile(r"T[0-9]{4}(?:\.[0-9]{3})?", re.ASCII)


class Exact(str):
    """Text that is shown letter for letter: a query, a rule."""

    __slots__ = ()


def render_html(programme: Programme, *, template: str, css: str) -> str:
    """The page as one HTML document, from our own Jinja2 template and style sheet."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(exact=Exact, cut=cut, clamp=clamp, attack_url=attack_url)
    return environment.from_string(template).render(
        p=programme,
        css=Markup(css),  # noqa: S704 - our own style sheet, not data
        words=words,
        in_short=summary.in_short(programme),
        next_steps=summary.next_steps(programme),
        definitions=DEFINITIONS,
        limits=LIMITS,
        here=_here(programme),
        charts=charts(programme.trend),
        tactics=tactic_rows(programme.techniques, programme.tactics),
        powers=verdicts_by_power(view.run for view in programme.hunts),
        bands=(*(name for _, name in BANDS), LAST_BAND),
        tables=TABLES,
        told=told,
        when=WHEN,
    )


def _here(programme: Programme) -> frozenset[str]:
    """Ids of the things that the page has a place for, within its limits."""
    hunts = programme.hunts[: LIMITS["hunts"]]
    places = (
        [view.run.id for view in hunts],
        [f.id for view in hunts for f in view.findings[: LIMITS["findings"]]],
        [view.hypothesis.id for view in programme.hypotheses[: LIMITS["hypotheses"]]],
        [view.gap.id for view in programme.gaps[: LIMITS["gaps"]]],
        [view.detection.id for view in programme.detections[: LIMITS["detections"]]],
        [view.case.id for view in programme.cases[: LIMITS["cases"]]],
    )
    return frozenset(itertools.chain.from_iterable(places))


def shown(value: Any) -> Any:  # noqa: ANN401 - Jinja2 hands over whatever an expression gives
    """What an expression of the template puts onto the page, before it is escaped."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = str(value)
    return visible(text if isinstance(value, Exact) else without_passwords(text))


def visible(text: str) -> str:
    """Text in which control, direction and other unseen characters are spelled out."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"
        else f"⟨U+{ord(character):04X}⟩"
        for character in text.replace("\r\n", "\n")
    )


def cut(text: str, limit: int = LIMITS["characters"]) -> str:
    """A text that is at most so long, and says where it was cut."""
    if len(text) <= limit:
        return text
    kind = Exact if isinstance(text, Exact) else str
    return kind(f"{text[:limit]}\n… {len(text) - limit:,} more characters are in the store")


def clamp(share: float) -> float:
    """A share between 0 and 1, whatever the data say; for drawing."""
    return min(1.0, max(0.0, share)) if share == share else 0.0  # noqa: PLR0124 - NaN


def attack_url(technique_id: str) -> str:
    """The page of a technique at MITRE; "" for what is no technique id."""
    if not _TECHNIQUE.fullmatch(technique_id):
        return ""
    return f"https://attack.mitre.org/techniques/{technique_id.replace('.', '/')}/"
