"""What is known of the events of alerts: by people's judgement, and by closed cases."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.alert import Alert, AlertState, cases_of, verdicts
from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.tlp import Tlp
from tests.support.builders import T0, ref

UIDS = [f"e{n}" for n in range(6)]


def alert(*uids: str, **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "id": "ALERT-1",
        "rule_id": "r",
        "siem": "lake",
        "day": T0.date(),
        "count": len(uids),
        "hosts": ("PC1",),
        "first": T0,
        "last": T0 + timedelta(hours=1),
        "uids": tuple(uids),
        **changes,
    }
    return Alert(**values)


def case(*uids: str, found: Determination | None) -> Case:
    return Case(
        id="CASE-1",
        natural_key="c",
        title="A case",
        summary="",
        hypothesis_key="h",
        finding_ids=(),
        detection_ids=(),
        technique_ids=("T1053.005",),
        severity="high",
        tlp=Tlp.AMBER,
        hosts=(),
        accounts=(),
        observables=(),
        events=tuple(ref(uid) for uid in uids),
        actors=(),
        source_ids=(),
        first=T0,
        last=T0,
        state=CaseState.CLOSED if found else CaseState.OPEN,
        determination=found,
    )


def test_a_judgement_speaks_for_all_events_of_the_alert() -> None:
    assert verdicts([alert("a", "b"), alert("c")], ()) == (0, 0)
    assert verdicts([alert("a", "b", state=AlertState.TRUE), alert("c")], ()) == (2, 0)
    both = [alert("a", state=AlertState.TRUE), alert("c", state=AlertState.FALSE)]
    assert verdicts(both, ()) == (1, 1)


def test_a_closed_case_says_more_of_its_events_than_the_judgement_of_the_day() -> None:
    day = alert("a", "b", "c", state=AlertState.FALSE)

    assert verdicts([day], [case("a", "z", found=Determination.CONFIRMED)]) == (1, 2)
    assert verdicts([day], [case("a", found=None)]) == (0, 3)
    assert verdicts([day], [case("a", found=Determination.SUSPECTED)]) == (0, 3)


def test_an_alert_names_the_cases_that_hold_its_events() -> None:
    assert cases_of(alert("a"), [case("a", found=None)]) == ("CASE-1",)
    assert cases_of(alert("b"), [case("a", found=None)]) == ()


@given(
    st.lists(st.tuples(st.sets(st.sampled_from(UIDS)), st.sampled_from(AlertState)), max_size=4),
    st.lists(
        st.tuples(st.sets(st.sampled_from(UIDS)), st.sampled_from([*Determination, None])),
        max_size=4,
    ),
)
def test_no_event_is_counted_twice(
    days: list[tuple[set[str], AlertState]],
    closed: list[tuple[set[str], Determination | None]],
) -> None:
    alerts = [
        alert(*(f"{uid}" for uid in uids), state=state, day=T0.date() + timedelta(days=number))
        for number, (uids, state) in enumerate(days)
    ]
    real, false = verdicts(alerts, [case(*uids, found=found) for uids, found in closed])

    assert min(real, false) >= 0
    assert real + false <= sum(one.count for one in alerts)
