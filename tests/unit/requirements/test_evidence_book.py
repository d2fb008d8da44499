"""Requirements merged from three sources, and models derived where none is written."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.attack import Analytic, LogSource, load_catalogue
from huntonce.models.content import load_library
from huntonce.models.content_evidence import known_atoms, load_shared
from huntonce.models.evidence import Hosts, Provenance, Trust
from huntonce.models.requirements.book import EvidenceBook
from huntonce.models.requirements.merging import (
    Extent,
    Requirement,
    RuleSource,
    presence,
    requirements,
)
from huntonce.models.requirements.refs import RefState

SYSMON = "Microsoft-Windows-Sysmon/Operational"


@cache
def book() -> EvidenceBook:
    from importlib.resources import files  # noqa: PLC0415

    shipped = files("huntonce.content")
    known = known_atoms(load_shared([shipped], shipped))
    return EvidenceBook(load_library().evidence, load_catalogue(), {}, known)


def rule(name: str, *places: tuple[str, tuple[int, ...], tuple[str, ...]]) -> RuleSource:
    return RuleSource(
        rule_id=name, title=name, logsource="windows x", product="windows", places=places
    )


def analytic(*sources: tuple[str, str]) -> Analytic:
    return Analytic(
        id="AN1",
        strategy_id="DET1",
        technique_id="T1",
        platforms=("Windows",),
        log_sources=tuple(LogSource(name=n, channel=c, component="") for n, c in sources),
        fields=(),
    )


def test_the_most_trusted_source_gives_the_trust_and_the_others_stay_named() -> None:
    merged = requirements(
        load_library().evidence["T1053.005"],
        [rule("r1", ("Security", (4698,), ("TaskName",))), rule("r2", ("System", (7045,), ()))],
        [analytic(("WinEventLog:Security", "EventCode=4698, 4103"))],
    )
    found = {(r.channel, r.event_id): r for r in merged}

    task = found["Security", 4698]
    assert task.provenance == (Provenance.CURATED, Provenance.SIGMA, Provenance.ATTACK)
    assert task.trust is Trust.HIGH
    assert {"r1", "AN1"} <= set(task.refs)
    assert found["System", 7045].trust is Trust.MEDIUM
    doubted = found["Security", 4103]
    assert (doubted.state, doubted.trust, doubted.checkable) == (
        RefState.SUSPECT,
        Trust.LOW,
        False,
    )


def test_a_derived_model_takes_remedies_from_what_is_written_down() -> None:
    made = EvidenceBook(
        {},
        load_catalogue(),
        {"T1134.001": [rule("r", ("Security", (4688,), ("CommandLine",)))]},
        known_atoms(load_shared(*_shipped())),
    )["T1134.001"]
    atom = next(a for a in made.atoms if a.id.startswith("security/4688"))

    assert not made.curated
    assert made.provenance == "sigma+attack"
    assert atom.fields == ("NewProcessName", "CommandLine")
    assert "ProcessCreationIncludeCmdLine_Enabled" in atom.remedy.commands[0]
    assert (atom.provenance, atom.trust) == (Provenance.SIGMA, Trust.MEDIUM)
    assert [g.required for g in made.groups].count(True) == 1


def _shipped():  # type: ignore[no-untyped-def]  # noqa: ANN202 - two arguments of one call
    from importlib.resources import files  # noqa: PLC0415

    shipped = files("huntonce.content")
    return [shipped], shipped


def test_every_current_technique_has_a_model_or_says_that_it_cannot_be_checked() -> None:
    origins = [book().origin(t.id) for t in load_catalogue().active]

    assert len(origins) >= 691
    assert origins.count("curated") >= 60
    assert origins.count("attack") > 300
    for technique in load_catalogue().active:
        model = book().get(technique.id)
        if model is None:
            assert "no evidence that can be checked" in book().explain(technique.id)
        else:
            assert any(g.required and any(a.primary for a in g.atoms) for g in model.groups)


def test_a_technique_that_is_asked_for_is_derived_although_a_survey_lists_the_written() -> None:
    assert "T1134.001" in book()
    assert "T1134.001" not in list(book())
    assert set(book()) == set(load_library().evidence)


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=12))
def test_presence_grows_with_what_arrives_and_is_never_a_bare_yes(
    seen: list[tuple[int, bool]],
) -> None:
    live = {i for i, there in seen if there}
    items = [
        Requirement(
            channel=SYSMON, event_id=i, state=RefState.PARSED, provenance=(Provenance.ATTACK,)
        )
        for i in {i for i, _ in seen}
    ]
    answer = presence(items, lambda _, i: i in live)

    assert answer.live <= answer.checkable == len(items)
    assert (answer.extent is Extent.UNCHECKABLE) is (not items)
    assert (answer.extent is Extent.ALL) is (bool(items) and answer.live == len(items))
    assert (answer.extent is Extent.NONE) is (bool(items) and not answer.live)
    more = presence(items, lambda *_: True)
    assert more.live >= answer.live


def test_what_only_domain_controllers_see_says_so() -> None:
    assert book()["T1003.006"].hosts is Hosts.DOMAIN_CONTROLLERS
    assert Hosts.DOMAIN_CONTROLLERS.include("Domain controller")
    assert Hosts.DOMAIN_CONTROLLERS.include("dc-2")
    assert not Hosts.DOMAIN_CONTROLLERS.include("workstation")
