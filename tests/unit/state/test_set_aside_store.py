from huntonce.models.setaside import PAYLOAD_LIMIT, InputKind, SetAside
from huntonce.models.state.store import Store
from tests.unit.state.examples import NOW


def refusal(place: str = "line 1", kind: InputKind = InputKind.INTEL, **more: object) -> SetAside:
    values = {"source": "a.json", "reason": "no type", "hint": "add one", "payload": b"\xff\0x"}
    return SetAside(kind=kind, place=place, **{**values, **more})  # type: ignore[arg-type]


def add(store: Store, *items: SetAside) -> int:
    with store.unit() as unit:
        new = unit.set_aside.add(items, at=NOW)
        unit.commit()
    return new


def test_the_same_refusal_is_recorded_once(store: Store) -> None:
    assert add(store, refusal(), refusal(), refusal(payload=b"other")) == 2
    assert add(store, refusal()) == 0
    assert add(store) == 0


def test_refused_intel_is_the_same_wherever_in_a_delivery_it_stood(store: Store) -> None:
    rule = InputKind.RULE

    assert add(store, refusal("object 1"), refusal("object 7")) == 1
    assert add(store, refusal("line 1", rule), refusal("line 7", rule)) == 2


def test_what_passed_waits_no_more_and_is_still_seen(store: Store) -> None:
    add(store, refusal(payload=b"one"), refusal(payload=b"two"))

    with store.unit() as unit:
        first, second = unit.quarantine.kept(InputKind.INTEL)
        unit.quarantine.taken(first.number, at=NOW)
        unit.quarantine.refused_again(second.number, refusal(reason="worse"), at=NOW)
        unit.commit()
    with store.unit() as unit:
        (waiting,) = unit.quarantine.kept()
        (taken,) = unit.quarantine.kept(taken=True)
        assert unit.set_aside.list() == (waiting.item,)
    assert (waiting.item.reason, waiting.tried_at, waiting.taken_at) == ("worse", NOW, None)
    assert (taken.number, taken.taken_at) == (first.number, NOW)


def test_the_feed_of_a_refusal_is_kept(store: Store) -> None:
    with store.unit() as unit:
        unit.quarantine.add([refusal()], at=NOW, feed="sector")
        unit.commit()
        assert [kept.feed for kept in unit.quarantine.kept()] == ["sector"]


def test_refusals_come_back_whole_and_by_kind(store: Store) -> None:
    add(store, refusal(), refusal(kind=InputKind.RULE))

    with store.unit() as unit:
        first, second = unit.set_aside.list()
        assert unit.set_aside.list(InputKind.RULE) == (second,)
    assert (first.payload, first.at, first.hint) == (b"\xff\0x", NOW, "add one")


def test_names_and_payloads_from_hostile_input_are_cut_and_cleaned(store: Store) -> None:
    add(
        store,
        refusal(
            source="bad\udcffname\0.json",
            reason="x" * 100_000,
            payload=b"x" * (PAYLOAD_LIMIT + 1),
        ),
    )

    with store.unit() as unit:
        (kept,) = unit.set_aside.list()
    assert kept.source == "bad\ufffdname\ufffd.json"
    assert len(kept.reason) < 10_000
    assert len(kept.payload) == PAYLOAD_LIMIT
