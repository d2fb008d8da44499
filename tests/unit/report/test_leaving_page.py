"""The page of what would leave: all of it, in words, and whatever it says stays text."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import stix2
from stix2validator import ValidationOptions, validate_instance

from huntonce.models.publication import Publication, PublicationState
from huntonce.models.report.leaving import bundle_of, html_page, markdown_page, sheets
from huntonce.models.tlp import Tlp

AT = datetime(2026, 3, 1, tzinfo=UTC)
STAMP = "2026-01-01T00:00:00.000Z"
HOSTILE = "</pre><script>alert(1)</script>\n# `x` | [a](http://b) \u202e\x1b[31m"


def publication(kind: str, number: int, **more: object) -> Publication:
    content = {
        "type": kind, "spec_version": "2.1", "created": STAMP, "modified": STAMP,
        "id": f"{kind}--00000000-0000-4000-8000-{number:012d}", **more,
    }  # fmt: skip
    return Publication(
        id=f"PUB-{number}",
        destination="peers",
        object_id=str(content["id"]),
        object_type=kind,
        version=STAMP,
        name=str(more.get("name", kind)),
        tlp=Tlp.AMBER,
        body=json.dumps(content),
        subject="CASE-1",
    )


TOOL = publication("tool", 1, name=HOSTILE)
GROUP = publication("intrusion-set", 2, name="COPPER HERON")
USES = publication(
    "relationship", 3, relationship_type="uses", source_ref=GROUP.object_id,
    target_ref=TOOL.object_id,
)  # fmt: skip
HELD = replace(
    publication("tool", 4, name="secret"),
    state=PublicationState.SKIPPED_TLP,
    why="TLP:RED is above the destination's TLP:AMBER",
)
MADE = sheets([TOOL, GROUP, USES, HELD], {"peers": "TLP:AMBER", "others": "TLP:GREEN"})


@pytest.mark.parametrize("page", [html_page, markdown_page])
def test_the_page_says_to_whom_under_what_and_what_stays(page: object) -> None:
    text = page(MADE, organisation="Us & Co", at=AT)  # type: ignore[operator]
    plain = text.replace("\\", "")

    assert "To peers (at most TLP:AMBER): 3 objects would leave, 1 stay here" in plain
    assert "To others (at most TLP:GREEN): 0 objects would leave, 0 stay here" in plain
    assert "COPPER HERON uses " in plain
    for one in (TOOL, GROUP, USES):
        assert one.object_id in plain
    assert HELD.object_id not in plain  # what stays is not spelled out
    assert "is above the destination" in plain


def test_html_shows_what_data_says_as_text() -> None:
    text = html_page(MADE, organisation=HOSTILE, at=AT)

    assert "<script" not in text
    assert text.count("</pre>") == 3
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text


def test_markdown_shows_what_data_says_as_text() -> None:
    lines = markdown_page(MADE, organisation=HOSTILE, at=AT).split("\n")

    assert sum(line.startswith("# ") for line in lines) == 1
    for line in lines:
        if not line.startswith("    "):  # inside a block of code nothing is read as markup
            assert "<script" not in line.replace(r"\<", "")  # a backslash makes it text
            assert "](" not in line
    tables = [line for line in lines if line.startswith("| tool")]
    assert all(line.replace("\\|", "").count("|") in {5, 6} for line in tables)


def test_the_bundle_is_what_would_be_sent_and_the_same_each_time() -> None:
    text = bundle_of(MADE[1].leaving)

    content = json.loads(text)
    assert [json.dumps(one) for one in content["objects"]] == [p.body for p in MADE[1].leaving]
    assert text == bundle_of(MADE[1].leaving)
    assert validate_instance(content, ValidationOptions(strict=False, version="2.1")).is_valid
    assert stix2.parse(content, allow_custom=False)


def test_a_sighting_and_a_withdrawal_are_told_in_words() -> None:
    sighting = publication("sighting", 5, sighting_of_ref=GROUP.object_id, count=0)
    gone = publication("tool", 6, name="PsExec", revoked=True)

    (sheet,) = sheets([sighting, gone], {}, [GROUP])

    assert sheet.what(sighting) == "COPPER HERON seen 0 times"
    assert sheet.what(gone) == "withdrawn: PsExec"
