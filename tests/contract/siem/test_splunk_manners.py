"""How the connector asks Splunk, against a stand-in that checks (see tests/support/splunk_server):
https://docs.splunk.com/Documentation/Splunk/9.4.0/RESTREF/RESTsearch
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.siem.memory import MemorySiem
from huntonce.connectors.siem.splunk import client, jobs, reading, spl
from huntonce.connectors.siem.splunk.client import Splunk
from huntonce.connectors.siem.splunk.jobs import TooSlowError
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.siem.splunk.siem import SplunkSiem
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.query import SigmaSearch
from huntonce.models.windows import Window
from tests.support.splunk_server import TOKEN, FakeSplunk, messages, serve

START = datetime(2026, 5, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(hours=1))
SYSMON = "Microsoft-Windows-Sysmon/Operational"
VALUES = [
    'C:\\a\\schtasks.exe /create /tn "x | y" [z] `m` & <b>',
    "c:\\A\\SCHTAS\u212aS.EXE \u017f\u0130",
    "\\\\host\\share\\%TEMP%\\schtasks.exe  $x*?",
    "nothing of it",
]


def event(number: int) -> dict[str, Any]:
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "P"}},
                "EventID": 1,
                "TimeCreated": {
                    "#attributes": {"SystemTime": (START + timedelta(minutes=number)).isoformat()}
                },
                "EventRecordID": number + 1,
                "Channel": SYSMON,
                "Computer": "ws1.corp.example",
            },
            "EventData": {"CommandLine": VALUES[number % len(VALUES)], "Image": "C:\\x.exe"},
        }
    }


EVENTS = [event(number) for number in range(40)]
Make = Callable[..., tuple[FakeSplunk, SplunkSiem]]


def search(value: str = "schtasks", modifier: str = "contains") -> SigmaSearch:
    return SigmaSearch(
        name="probe",
        logsource={"category": "process_creation", "product": "windows"},
        detection={"s": {f"CommandLine|{modifier}": value}, "condition": "s"},
        fields=("CommandLine",),
    )


@pytest.fixture
def make(splunk_server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.01)
    opened: list[SplunkSiem] = []

    def made(form: str = "xml", **more: Any) -> tuple[FakeSplunk, SplunkSiem]:
        splunk_server.clear()
        fake = serve(splunk_server, list(EVENTS), form)
        settings = {"url": fake.url, "token": TOKEN, "format": form, **more}
        opened.append(SplunkSiem(SplunkSettings.model_validate(settings)))
        return fake, opened[-1]

    yield made
    for siem in opened:
        siem.close()


@pytest.mark.parametrize("form", ["xml", "json"])
@pytest.mark.parametrize(
    "value", ["schtasks", '"x | y" [z] `m`', "& <b>", "%TEMP%", "*?", "i\u0130"]
)
def test_hostile_values_find_what_the_lake_s_predicate_finds(
    make: Make, form: str, value: str
) -> None:
    _, siem = make(form)
    expected = MemorySiem(EVENTS).search(search(value), WINDOW)

    assert siem.search(search(value), WINDOW).table.equals(expected.table)


def test_a_window_is_split_until_a_job_can_do_it_and_nothing_is_lost(make: Make) -> None:
    fake, siem = make(job_size=4, page_size=3)
    expected = MemorySiem(EVENTS).search(search(), WINDOW).table

    assert siem.search(search(), WINDOW).table.equals(expected)
    assert len(expected) == 30
    assert not fake.jobs  # each was cancelled once it was read


def test_a_job_that_runs_out_of_time_is_no_answer(make: Make) -> None:
    fake, siem = make(timeout=5)
    fake.slow_over = 600

    with pytest.raises(TooSlowError):
        siem.search(search(), WINDOW)
    assert fake.forms[-1]["max_time"] == "5"
    assert not fake.jobs


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (("FATAL", "Error in 'where' command"), TerminalError),
        (("FATAL", "peer is down"), TransientError),
        (("ERROR", "peer p1 gave no results"), TransientError),
        (("WARN", "Search auto-finalized after time limit reached (5 seconds)."), TooSlowError),
    ],
)
def test_a_job_that_complains_is_no_answer(
    make: Make, said: tuple[str, str], error: type[Exception]
) -> None:
    fake, siem = make()
    fake.said = [said]

    with pytest.raises(error):
        siem.search(search(), WINDOW)


def test_a_busy_splunk_is_asked_again(make: Make) -> None:
    fake, siem = make()
    quota = "The maximum number of concurrent historical searches has been reached."
    fake.faults = [("POST", messages(quota, 503)), ("POST", messages("slow down", 429))]

    assert len(siem.search(search(), WINDOW).table) == 30


def test_a_splunk_that_stays_busy_or_wants_long_is_left_alone(make: Make) -> None:
    fake, siem = make()
    fake.faults = [("POST", messages("busy", 503, Retry_After="900"))]

    with pytest.raises(TransientError) as caught:
        siem.hosts()
    assert caught.value.retry_after == 900


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_for_good_and_shows_no_token(make: Make, status: int) -> None:
    fake, siem = make()
    fake.faults = [("POST", messages("not allowed", status))]

    with pytest.raises(TerminalError) as caught:
        siem.search(search(), WINDOW)
    assert caught.value.hint
    assert TOKEN not in str(caught.value)


def test_a_job_that_vanished_is_run_again(make: Make) -> None:
    fake, siem = make()
    assert len(siem.search(search(), WINDOW).table) == 30

    found = Splunk("splunk", SplunkSettings(url=fake.url, token=TOKEN))
    fake.lose_jobs = 1
    scope = [spl.events(found.settings)]
    rows = [r for page in reading.events(found, scope, reading.padded(WINDOW, 1)) for r in page]
    assert len(rows) == len(EVENTS)


def test_a_reader_that_stops_cancels_its_job(make: Make) -> None:
    fake, _ = make()
    splunk = Splunk("splunk", SplunkSettings(url=fake.url, token=TOKEN, page_size=5))
    with closing(jobs.pages(splunk, 'search (index="*") | table _time', None, 1_000)) as pages:
        count, page = next(pages)
        assert (count, len(page), len(fake.jobs)) == (40, 5, 1)

    assert (len(fake.jobs), len(fake.cancelled)) == (0, 1)


def test_more_than_was_agreed_is_refused_not_cut(make: Make) -> None:
    _, siem = make(max_examined=29)

    with pytest.raises(TerminalError, match="more than 29"):
        siem.search(search(), WINDOW)


def test_events_in_another_form_are_a_gap_not_silence(make: Make) -> None:
    fake, siem = make()
    for held in fake.events:
        held["_raw"] = "05/01/2026 EventCode=4688 LogName=Security EventCode=1"

    result = siem.search(search(), WINDOW)

    assert result.unmapped_fields == ("CommandLine",)
    assert not result.absent_source


def test_an_event_that_was_cut_off_is_read_as_far_as_it_goes(make: Make) -> None:
    fake, siem = make()
    for held in fake.events:
        held["_raw"] = held["_raw"].partition("<Data Name='Image'>")[0] + "<Data Name='Ima"

    assert len(siem.search(search(), WINDOW).table) == 30


def test_the_lag_is_from_happening_to_being_indexed(make: Make) -> None:
    (row,) = make()[1].lags(WINDOW).to_pylist()

    assert (row["host"], row["channel"], row["events"], row["p95"]) == ("WS1", SYSMON, 40, 7.0)


def test_hosts_can_come_from_the_index_alone(make: Make) -> None:
    fake, siem = make(host_is_computer=True)

    assert siem.hosts() == {"WS1"}
    assert fake.forms[-1]["search"].startswith("| tstats count")
