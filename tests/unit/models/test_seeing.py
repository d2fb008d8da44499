"""What arrived, as probes and power."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.models.arrivals import Arrivals, bridge
from huntonce.models.evidence import Atom, EvidenceModel
from huntonce.models.power import hours_between, power, statement
from huntonce.models.seeing import Prober, needs_match, probe, wants
from huntonce.models.visibility import HostProbe, ProbeResult
from huntonce.models.windows import Window
from tests.support.builders import (
    SCHEDULER,
    SECURITY,
    SYSMON,
    T0,
    Arrived,
    arrivals,
    atom,
    group,
    model,
    window,
)

HOURS = 240
SILENCE = 72


def naive_bridge(mask: int, hours: int, silence: int) -> int:
    """Hour by hour: set, or in a hole that is short enough."""
    live = [bool(mask >> hour & 1) for hour in range(hours)]
    if not any(live):
        return 0
    edges = [-1, *(hour for hour in range(hours) if live[hour]), hours]
    for left, right in pairwise(edges):
        if right - left - 1 <= silence:
            live[left + 1 : right] = [True] * (right - left - 1)
    return sum(1 << hour for hour in range(hours) if live[hour])


def of(atom_id: str, probes: Sequence[HostProbe], host: str = "PC1") -> HostProbe:
    return next(p for p in probes if (p.host, p.atom_id) == (host, atom_id))


def value(of_model: EvidenceModel, hosts: Sequence[str], arrived: Arrivals) -> float:
    return power(of_model, hosts, arrived.window, probe(of_model, hosts, arrived)).value


# ---------------------------------------------------------------- bridge


@given(
    st.integers(1, 200).flatmap(
        lambda hours: st.tuples(st.integers(0, (1 << hours) - 1), st.just(hours))
    ),
    st.integers(0, 90),
)
def test_bridging_is_what_a_walk_from_hour_to_hour_gives(
    drawn: tuple[int, int], silence: int
) -> None:
    mask, hours = drawn

    assert bridge(mask, hours, silence) == naive_bridge(mask, hours, silence)


@given(st.integers(0), st.integers(1, 100), st.integers(0, 100))
def test_bridged_bits_stay_within_the_window(mask: int, hours: int, silence: int) -> None:
    assert bridge(mask, hours, silence) < 1 << hours


def test_a_weekend_is_bridged_and_a_dead_agent_is_not() -> None:
    friday, monday, hours = 1 << 10, 1 << 83, 200

    whole = bridge(friday | monday, hours, SILENCE)
    dead = bridge(friday | monday << 1, hours, SILENCE)

    assert whole >> 11 & 1
    assert not dead >> 11 & 1


# ---------------------------------------------------------------- probe


def test_an_event_that_arrived_is_present_and_live() -> None:
    found = of("security/4698", probe(model(), ["PC1"], arrivals([("PC1", SECURITY, 4698, 3, 2)])))

    assert (found.result, found.live, found.events) == (ProbeResult.PRESENT, True, 2)
    assert found.first is not None


def test_a_silent_channel_is_missing() -> None:
    found = of("security/4698", probe(model(), ["PC1"], arrivals([("PC2", SECURITY, 4698, 3, 2)])))

    assert (found.result, found.live, found.hours) == (ProbeResult.MISSING, False, 0)


def test_a_security_channel_without_the_subcategory_is_missing() -> None:
    found = of("security/4698", probe(model(), ["PC1"], arrivals([("PC1", SECURITY, 4624, 3, 9)])))

    assert (found.result, found.live) == (ProbeResult.MISSING, False)


def test_a_sibling_of_the_subcategory_makes_it_empty_and_live() -> None:
    one = atom("security/4698", siblings=(4698, 4702))
    wanted = model(group("creation", one))

    found = of("security/4698", probe(wanted, ["PC1"], arrivals([("PC1", SECURITY, 4702, 3, 1)])))

    assert (found.result, found.live, found.events) == (ProbeResult.EMPTY, True, 0)


def test_another_channel_that_delivers_something_else_is_empty_and_not_live() -> None:
    one = atom("sysmon/11", siblings=())
    wanted = model(group("creation", one))

    found = of("sysmon/11", probe(wanted, ["PC1"], arrivals([("PC1", SYSMON, 1, 3, 1)])))

    assert (found.result, found.live) == (ProbeResult.EMPTY, False)


def test_a_field_that_is_mostly_empty_is_missing_on_that_host_only() -> None:
    one = atom("security/4688", fields=("CommandLine",))
    wanted = model(group("tooling", one))
    arrived = arrivals(
        [(host, SECURITY, 4688, 3, 10) for host in ("PC1", "PC2")],
        fill=[
            ("PC1", SECURITY, 4688, "CommandLine", 4, 10),
            ("PC2", SECURITY, 4688, "CommandLine", 5, 10),
        ],
    )

    probes = probe(wanted, ["PC1", "PC2"], arrived)

    first, second = of("security/4688", probes), of("security/4688", probes, "PC2")
    assert (first.result, first.live, first.hours) == (ProbeResult.FIELD_MISSING, False, 0)
    assert first.fill == {"CommandLine": 0.4}
    assert (second.result, second.live) == (ProbeResult.PRESENT, True)


def test_fill_counts_over_all_ids_of_the_trace() -> None:
    one = atom("sysmon/12", event_ids=(12, 13), siblings=(12, 13), fields=("TargetObject",))
    arrived = arrivals(
        [("PC1", SYSMON, 12, 0, 10), ("PC1", SYSMON, 13, 0, 10)],
        fill=[
            ("PC1", SYSMON, 12, "TargetObject", 10, 10),
            ("PC1", SYSMON, 13, "TargetObject", 2, 10),
        ],
    )

    found = of("sysmon/12", probe(model(group("creation", one)), ["PC1"], arrived))

    assert found.fill == {"TargetObject": 0.6}
    assert found.live


def test_a_refusal_is_unavailable_and_never_empty() -> None:
    arrived = arrivals([("PC1", SECURITY, 4698, 3, 1)], refused={"security/4698": "no permission"})

    found = of("security/4698", probe(model(), ["PC1"], arrived))

    assert (found.result, found.live, found.events) == (ProbeResult.UNAVAILABLE, False, 0)


def test_a_trace_that_only_a_search_can_tell_is_judged_by_the_search() -> None:
    one = atom("sysmon/11", where={"a": {"X": "y"}, "condition": "a"}, siblings=())
    wanted = model(group("creation", one))
    rows: list[Arrived] = [("PC1", SYSMON, 11, 0, 500), ("PC2", SYSMON, 11, 0, 500)]

    probes = probe(wanted, ["PC1", "PC2"], arrivals(rows, matches={"sysmon/11": {"PC2": 1}}))

    assert needs_match(one)
    assert of("sysmon/11", probes).result is ProbeResult.EMPTY
    assert of("sysmon/11", probes, "PC2").result is ProbeResult.PRESENT
    assert of("sysmon/11", probes, "PC2").live


WHERE = {"selection": {"TargetImage|endswith": "lsass.exe"}, "condition": "selection"}
ALIKE = (
    atom("security/4698"),
    atom("security/4698-other", event_ids=(4698,), siblings=(4698,)),
    atom("security/4698-ids", event_ids=(4698, 4702), siblings=(4698,)),
    atom("security/4698-siblings", event_ids=(4698,), siblings=(4698, 4702)),
    atom("security/4698-field", event_ids=(4698,), siblings=(4698,), fields=("TaskName",)),
    atom("security/4698-alone", event_ids=(4698,), siblings=()),
    atom("security/4698-where", event_ids=(4698,), siblings=(), where=WHERE),
    atom("security/4698-where-2", event_ids=(4698,), siblings=(), where=WHERE),
    atom("security/4698-refused", event_ids=(4698,), siblings=(4698,)),
    atom("security/4698-unsupported", event_ids=(4698,), siblings=(4698,)),
    atom("sysmon/4698", siblings=(4698,)),
)
"""Atoms of which no two mean the same, but the first two."""


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["PC1", "PC2", "PC3"]),
            st.sampled_from([SECURITY, SYSMON]),
            st.sampled_from([4698, 4702, 4624]),
            st.integers(0, HOURS - 1),
            st.integers(1, 3),
        ),
        max_size=12,
    ),
    st.permutations(ALIKE),
    st.dictionaries(st.sampled_from(["PC1", "PC2"]), st.integers(1, 2)),
    st.integers(0, 10),
)
def test_what_models_have_in_common_is_answered_as_if_each_asked_alone(
    rows: list[Arrived], atoms: list[Atom], matching: dict[str, int], filled: int
) -> None:
    def arrived() -> Arrivals:
        return arrivals(
            rows,
            hours=HOURS,
            fill=[("PC1", SECURITY, 4698, "TaskName", filled, 10)],
            matches={"security/4698-where": matching, "security/4698-where-2": {"PC1": 1}},
            refused={"security/4698-refused": "no right"},
            unsupported={"security/4698-unsupported": "no way"},
            lags=[("PC1", SECURITY, 9, 7_200.0)],
            kept={SECURITY: T0 + timedelta(hours=30)},
        )

    hosts = ("PC1", "PC2", "PC3")
    together = Prober(hosts, arrived(), timedelta(hours=1))

    for one in [*atoms, *atoms]:
        wanted = model(group("it", one))
        alone = probe(wanted, hosts, arrived(), max_lag=timedelta(hours=1))
        assert together.probe(wanted) == alone
        assert {answer.atom_id for answer in alone} == {one.id}


def test_fields_are_asked_for_by_channel_and_id_once() -> None:
    wanted = model(
        group("creation", atom("security/4698", fields=("TaskName",))),
        group(
            "actor", atom("security/4698-subject", event_ids=(4698,), fields=("SubjectUserSid",))
        ),
    )

    assert [(w.event_id, w.fields) for w in wants(wanted)] == [
        (4698, ("SubjectUserSid", "TaskName"))
    ]


def test_a_source_that_was_switched_on_today_says_nothing_of_last_month() -> None:
    hours = 30 * 24
    one = atom("security/4698", siblings=(4698, 4702))
    rows: list[Arrived] = [("PC1", SECURITY, 4624, hour, 1) for hour in range(0, hours, 24)]
    rows.append(("PC1", SECURITY, 4702, hours - 1, 1))

    found = of(
        "security/4698", probe(model(group("creation", one)), ["PC1"], arrivals(rows, hours=hours))
    )

    assert found.live
    assert found.hours >> (hours - 1) & 1
    assert not found.hours & 1
    assert found.hours.bit_count() <= 8 * 24


# ---------------------------------------------------------------- power


def test_power_is_the_share_of_host_hours_with_every_required_group() -> None:
    rows: list[Arrived] = [
        ("PC1", SECURITY, 4698, 0, 1),
        ("PC1", SECURITY, 4688, 0, 1),
        ("PC2", SECURITY, 4698, 0, 1),
    ]

    answer = power(
        model(), ["PC1", "PC2"], window(48), probe(model(), ["PC1", "PC2"], arrivals(rows))
    )

    assert answer.value == 0.5
    assert (answer.population, answer.seen, answer.blind) == (2, 1, ("PC2",))
    assert answer.weakest == "execution"
    assert {g.name: g.value for g in answer.groups} == {"creation": 1.0, "execution": 0.5}
    assert "1 of 2 hosts (50 %)" in answer.words


def test_groups_that_are_live_at_different_times_are_not_live_together() -> None:
    hours = 400
    wanted = model(
        group("creation", atom("security/4698")), group("execution", atom("taskscheduler/200"))
    )
    rows: list[Arrived] = [("PC1", SECURITY, 4698, 0, 1), ("PC1", SCHEDULER, 200, hours - 1, 1)]

    answer = power(
        wanted, ["PC1"], window(hours), probe(wanted, ["PC1"], arrivals(rows, hours=hours))
    )

    assert answer.value == 0
    assert answer.blind == ("PC1",)


def test_an_alternative_of_the_group_is_as_good() -> None:
    rows: list[Arrived] = [("PC1", SYSMON, 11, 0, 1), ("PC1", SECURITY, 4688, 0, 1)]

    assert value(model(), ["PC1"], arrivals(rows)) == 1


def test_a_group_that_is_not_required_does_not_count() -> None:
    wanted = model(
        group("creation", atom("security/4698")),
        group("tooling", atom("security/4688"), required=False),
    )

    assert value(wanted, ["PC1"], arrivals([("PC1", SECURITY, 4698, 0, 1)])) == 1


def test_nobody_in_scope_means_no_power() -> None:
    answer = power(model(), [], window(), ())

    assert (answer.value, answer.population) == (0.0, 0)
    assert answer.words.startswith("no host in scope")


HOST = st.sampled_from(["PC1", "PC2", "PC3", "OUT1", "OUT2"])
CHANNEL_ID = st.sampled_from(
    [(SECURITY, 4698), (SECURITY, 4702), (SECURITY, 4688), (SECURITY, 4624), (SYSMON, 11)]
)
ROWS = st.lists(
    st.builds(
        lambda host, pair, hour, events: (host, *pair, hour, events),
        HOST,
        CHANNEL_ID,
        st.integers(-3, HOURS + 3),
        st.integers(1, 5),
    ),
    max_size=25,
)
INSIDE = ["PC1", "PC2", "PC3"]


@settings(deadline=None)
@given(ROWS, ROWS)
def test_more_telemetry_never_lowers_power(before: list[Arrived], more: list[Arrived]) -> None:
    less = value(model(), INSIDE, arrivals(before, hours=HOURS))

    assert value(model(), INSIDE, arrivals([*before, *more], hours=HOURS)) >= less


@settings(deadline=None)
@given(ROWS, ROWS)
def test_hosts_outside_the_population_never_change_it(
    rows: list[Arrived], others: list[Arrived]
) -> None:
    outside: list[Arrived] = [("OUT9", *row[1:]) for row in others]

    assert value(model(), INSIDE, arrivals([*rows, *outside], hours=HOURS)) == value(
        model(), INSIDE, arrivals(rows, hours=HOURS)
    )


@settings(deadline=None)
@given(ROWS)
def test_power_and_its_parts_stay_within_bounds(rows: list[Arrived]) -> None:
    arrived = arrivals(rows, hours=HOURS)
    probes = probe(model(), INSIDE, arrived)
    answer = power(model(), INSIDE, arrived.window, probes)

    assert all(0 <= p.hours < 1 << HOURS and bool(p.hours) <= p.live for p in probes)
    assert 0 <= answer.value <= min(g.value for g in answer.groups if g.required) <= 1
    assert answer.seen + len(answer.blind) == len(INSIDE)


@settings(deadline=None)
@given(ROWS)
def test_power_of_shared_answers_is_that_of_the_probes_one_by_one(rows: list[Arrived]) -> None:
    arrived = arrivals(rows, hours=HOURS)
    shared = probe(model(), INSIDE, arrived)
    single = tuple(shared)
    scope = {"PC1": 0b1110, "PC2": 0}

    assert [(p.atom_id, p.host) for p in single] == [
        (atom.id, host) for atom in model().atoms for host in INSIDE
    ]
    for hosts in (INSIDE, INSIDE[1:]):
        assert power(model(), hosts, arrived.window, shared, scope) == power(
            model(), hosts, arrived.window, single, scope
        )


@settings(deadline=None)
@given(ROWS)
def test_only_what_was_proven_is_live(rows: list[Arrived]) -> None:
    proven = {(h, c) for h, c, e, hour, _ in rows if e != 4624 and 0 <= hour < HOURS}

    for one in probe(model(), INSIDE, arrivals(rows, hours=HOURS)):
        channel = SYSMON if one.atom_id.startswith("sysmon") else SECURITY
        assert not one.live or (one.host, channel) in proven


# ---------------------------------------------------------------- stale, late, not kept

MONTH = 30 * 24


def daily(host: str, event_id: int, days: range, channel: str = SECURITY) -> list[Arrived]:
    return [(host, channel, event_id, day * 24, 1) for day in days]


def test_a_channel_that_stopped_while_its_host_went_on_is_stale_and_live_until_then() -> None:
    rows = [*daily("PC1", 4698, range(20)), *daily("PC1", 7036, range(30), "System")]

    found = of("security/4698", probe(model(), ["PC1"], arrivals(rows, hours=MONTH)))

    assert (found.result, found.live) == (ProbeResult.STALE, True)
    assert found.quiet_since is not None
    assert found.quiet_since < T0 + timedelta(days=20)
    assert found.hours >> 10 & 1
    assert not found.hours >> (MONTH - 1) & 1


def test_a_host_on_holiday_is_not_stale_and_one_that_is_gone_is() -> None:
    weekly = [("PC1", SECURITY, 4698, day * 24, 1) for day in (0, 4, 7, 11, 14, 18)]
    clock = daily("PC2", 4698, range(18))

    probes = probe(model(), ["PC1", "PC2"], arrivals([*weekly, *clock], hours=26 * 24))

    assert of("security/4698", probes).result is ProbeResult.PRESENT
    assert of("security/4698", probes, "PC2").result is ProbeResult.STALE


def test_a_source_that_was_switched_off_is_stale_although_its_channel_goes_on() -> None:
    rows = [*daily("PC1", 4698, range(15)), *daily("PC1", 4624, range(30))]

    found = of("security/4698", probe(model(), ["PC1"], arrivals(rows, hours=MONTH)))

    assert found.result is ProbeResult.STALE


def test_what_no_host_has_sent_yet_is_not_held_against_a_channel() -> None:
    rows = daily("PC1", 4698, range(10))

    found = probe(
        model(), ["PC1"], arrivals(rows, hours=MONTH, newest=T0 + timedelta(days=10, hours=1))
    )

    assert of("security/4698", found).result is ProbeResult.PRESENT


def test_events_that_come_late_are_lagging_and_the_newest_hours_are_not_live() -> None:
    rows: list[Arrived] = [("PC1", SECURITY, 4698, hour, 1) for hour in range(48)]
    late = [("PC1", SECURITY, 48, 30 * 3600.0)]

    found = of("security/4698", probe(model(), ["PC1"], arrivals(rows, lags=late)))
    fine = of(
        "security/4698",
        probe(model(), ["PC1"], arrivals(rows, lags=late), max_lag=timedelta(hours=31)),
    )

    assert (found.result, found.live, found.lag) == (ProbeResult.LAGGING, True, 30 * 3600.0)
    assert not found.hours >> 47 & 1
    assert found.hours >> 10 & 1
    assert fine.result is ProbeResult.PRESENT


def test_what_is_not_kept_is_not_live_however_near_its_proof() -> None:
    rows = daily("PC1", 4698, range(10, 30))
    kept = {SECURITY: T0 + timedelta(days=10)}

    found = of("security/4698", probe(model(), ["PC1"], arrivals(rows, hours=MONTH, kept=kept)))

    assert (found.result, found.depth) == (ProbeResult.RETENTION_SHORT, 240)
    assert not found.hours & ((1 << 240) - 1)
    assert found.hours >> 240 & 1


def test_a_day_that_is_not_kept_any_more_is_no_fault() -> None:
    rows = daily("PC1", 4698, range(30))
    kept = {"": T0 + timedelta(hours=20)}

    found = of("security/4698", probe(model(), ["PC1"], arrivals(rows, hours=MONTH, kept=kept)))

    assert found.result is ProbeResult.PRESENT


def test_what_a_siem_cannot_say_is_unsupported_and_not_refused() -> None:
    arrived = arrivals([("PC1", SECURITY, 4698, 3, 1)], unsupported={"security/4698": "no regex"})

    found = of("security/4698", probe(model(), ["PC1"], arrived))

    assert (found.result, found.live) == (ProbeResult.UNSUPPORTED, False)


@settings(deadline=None)
@given(ROWS, st.sampled_from(INSIDE), st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_lag_never_adds_to_power(
    rows: list[Arrived], host: str, first: float, second: float
) -> None:
    low, high = sorted((first, second))

    def seen(lag: float) -> float:
        return value(model(), INSIDE, arrivals(rows, hours=HOURS, lags=[(host, SECURITY, 1, lag)]))

    assert seen(high) <= seen(low)


@settings(deadline=None)
@given(ROWS, st.integers(0, HOURS), st.integers(0, HOURS))
def test_keeping_more_never_lowers_power(rows: list[Arrived], one: int, two: int) -> None:
    less, more = sorted((one, two), reverse=True)

    def seen(hours: int) -> float:
        kept = {"": T0 + timedelta(hours=hours)}
        return value(model(), INSIDE, arrivals(rows, hours=HOURS, kept=kept))

    assert seen(more) >= seen(less)


@settings(deadline=None)
@given(ROWS)
def test_the_order_of_the_rows_does_not_matter(rows: list[Arrived]) -> None:
    there, back = arrivals(rows, hours=HOURS), arrivals(rows[::-1], hours=HOURS)

    assert probe(model(), INSIDE, there) == probe(model(), INSIDE, back)


# ---------------------------------------------------------------- words


def test_a_statement_says_where_how_well_and_what_is_in_the_way() -> None:
    wanted = model(group("creation", atom("security/4688", fields=("CommandLine",))))
    hosts = [f"PC{n}" for n in range(1, 13)]
    rows: list[Arrived] = [(host, SECURITY, 4688, 0, 10) for host in hosts[:11]]
    fill = [(host, SECURITY, 4688, "CommandLine", 9, 10) for host in hosts[:11]]
    arrived = arrivals(rows, hours=48, fill=fill)
    span = Window(datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC))

    seen = power(wanted, hosts, arrived.window, probe(wanted, hosts, arrived))

    assert statement(seen, span, ["GAP-17"]) == (
        "11 of 12 hosts (91.7 %) for 2026-07-01 .. 2026-07-31; CommandLine in 90 % of Security "
        "4688; 1 host blind: GAP-17; weakest: creation (91.7 %)"
    )


def test_hosts_count_only_while_they_are_in_scope() -> None:
    wanted = model(group("creation", atom("security/4698")))
    arrived = arrivals([("PC1", SECURITY, 4698, 0, 1)], hours=48)
    probes = probe(wanted, ["PC1", "PC2"], arrived)
    half = hours_between(arrived.window, T0 + timedelta(hours=24), None)

    whole = power(wanted, ["PC1", "PC2"], arrived.window, probes)
    scoped = power(wanted, ["PC1", "PC2"], arrived.window, probes, {"PC2": half})
    gone = power(wanted, ["PC1", "PC2"], arrived.window, probes, {"PC2": 0})

    assert (whole.value, round(scoped.value, 4), gone.value) == (0.5, round(48 / 72, 4), 1.0)
    assert gone.population == 1
