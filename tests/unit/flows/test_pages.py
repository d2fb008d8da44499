"""What a run told is its page, whether it ended well or not."""

import pytest

from huntonce.flows import pages
from huntonce.flows.story import listening, tell


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    monkeypatch.setattr(pages, "create_markdown_artifact", lambda **page: found.append(page))
    return found


def test_what_was_told_is_the_page_and_still_heard_by_others(
    written: list[dict[str, str]],
) -> None:
    heard: list[str] = []
    with (
        listening(lambda told: heard.extend(told.lines)),
        pages.told_as_page("pull-intel", "Intel pulled") as note,
    ):
        tell("Intel", "sector: 2 objects", "set aside: [x](javascript:1)")
        note("Sent", "1 message sent")

    (page,) = written
    assert (page["key"], page["description"]) == ("pull-intel", "sector: 2 objects")
    assert page["markdown"].startswith("# Intel pulled\n\n## Intel\n\n- sector\\: 2 objects")
    assert "## Sent" in page["markdown"]
    assert "](javascript" not in page["markdown"]
    assert heard == ["sector: 2 objects", "set aside: [x](javascript:1)"]


def test_a_run_without_news_says_so(written: list[dict[str, str]]) -> None:
    with pages.told_as_page("verify-gaps", "Gaps probed again"):
        pass

    assert "nothing to do" in written[0]["markdown"]


def test_what_came_before_a_fault_is_shown_and_the_fault_goes_on(
    written: list[dict[str, str]],
) -> None:
    def run(*lines: str) -> None:
        with pages.told_as_page("pull-intel", "Intel pulled"):
            for line in lines:
                tell("Intel", line)
            raise ValueError(lines)

    for lines in (("sector: no connection",), ()):
        with pytest.raises(ValueError, match="connection" if lines else "^$|\\(\\)"):
            run(*lines)

    assert [page["description"] for page in written] == ["sector: no connection"]
