"""Kept events, how far rules were run, and alerts, on both databases."""

from dataclasses import replace
from datetime import timedelta

from huntonce.models.alert import Alert, AlertState
from huntonce.models.detection import Fixture
from huntonce.models.guarding import Watch
from huntonce.models.state.store import Store
from tests.support.builders import T0, ref


def fixture(uid: str, *, malicious: bool, hours: float = 0, body: str = "{}") -> Fixture:
    return Fixture(ref=ref(uid, time=T0 + timedelta(hours=hours)), malicious=malicious, body=body)


def test_kept_events_come_back_byte_by_byte_evil_first_in_time(store: Store) -> None:
    odd = '{"a":"\\u0000 \u00e4 \U0001f600 \\ud800","b":"' + "x" * 70_000 + '"}'
    kept = [
        fixture("u2", malicious=False, hours=1),
        fixture("m2", malicious=True, hours=2, body=odd),
        fixture("m1", malicious=True, hours=1),
        fixture("u1", malicious=False, hours=0),
    ]
    with store.unit() as unit:
        unit.proofs.keep("r", kept)
        unit.proofs.keep("other", [fixture("m1", malicious=False)])
        unit.commit()

    with store.unit() as unit:
        back = unit.proofs.fixtures("r")
        assert [f.ref.uid for f in back] == ["m1", "m2", "u1", "u2"]
        assert set(back) == set(kept)
        unit.proofs.keep("r", kept[:1])
        unit.commit()
    with store.unit() as unit:
        assert unit.proofs.fixtures("r") == (kept[0],)
        assert len(unit.proofs.fixtures("other")) == 1


def test_how_far_a_rule_was_run_is_one_row_a_siem(store: Store) -> None:
    first = Watch(rule_id="r", siem="lake", ran_at=T0, seen_to=T0)
    later = Watch(
        rule_id="r", siem="lake", ran_at=T0 + timedelta(days=1), seen_to=T0, fault="a\x00b"
    )
    other = Watch(rule_id="r", siem="far", ran_at=T0, seen_to=T0)
    with store.unit() as unit:
        for watch in (first, other, later):
            unit.proofs.watched(watch)
        unit.commit()

    with store.unit() as unit:
        far, lake = unit.proofs.watches("r")
        assert unit.proofs.watches("nobody") == ()
    assert far == other
    assert (lake.ran_at, lake.seen_to) == (later.ran_at, T0)
    assert "\x00" not in lake.fault


def test_an_alert_is_one_a_day_and_its_judgement_is_logged(store: Store) -> None:
    alert = Alert(
        rule_id="r",
        siem="lake",
        day=T0.date(),
        count=1,
        hosts=("PC1",),
        first=T0,
        last=T0,
        uids=("e1",),
    )
    with store.unit() as unit:
        one = unit.alerts.add(alert, actor="a", why="fired")
        again = unit.alerts.add(alert, actor="a", why="fired")
        unit.commit()
    assert one == again

    with store.unit() as unit:
        (stored,) = unit.alerts.list(AlertState.OPEN)
        assert (stored.id, stored.day) == ("ALERT-1", T0.date())
        judged = replace(stored, state=AlertState.FALSE, judged_by="ann", why="ours")
        unit.alerts.save(judged, actor="ann", why="ours")
        unit.commit()
    with store.unit() as unit:
        assert unit.alerts.list(AlertState.OPEN) == ()
        assert [(r.before, r.after, r.actor) for r in unit.log.rows()] == [
            ("", "open", "a"),
            ("open", "false", "ann"),
        ]
