"""Every study that there is: what it declares can be built under every protocol that it allows."""

import inspect
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import studies
from tests.properties import junk, quickly
from workbench import __main__ as command
from workbench.components.necks.pafpn import PAFPN
from workbench.core.errors import Refused
from workbench.experiments.noop_check import check_distinct
from workbench.experiments.protocols import PROTOCOLS
from workbench.models.job import Protocol, phase_at
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.models.zoo import nano
from workbench.slots import Backbone, Head, Neck
from workbench.space import Factor, Search
from workbench.study import (
    Better,
    Cheaper,
    Cited,
    Row,
    Study,
    StudyProtocol,
    TimedRow,
    TimingStudy,
    find_study,
    known_studies,
)

ROOT = Path(__file__).parents[1]
DECLARED = [found for name in known_studies() if isinstance(found := find_study(name), Study)]
DECLARING = (Study, TimingStudy, Search, Row, TimedRow, Cited, Better, Cheaper, Factor)  # what a file declares
GOOD: dict[str, Any] = {  # values of their fields
    "name": "s",
    "question": "?",
    "source": "a test",
    "base": nano(),
    "rows": (Row("a"), Row("b", {"coords.padding": 1.5})),
    "factors": (Factor("a", {"x": {}}),),
    "options": {"x": {}},
    "label": "a",
    "value": 1.0,
    "id": "C",
    "text": "a beats b",
    "row": "a",
    "than": "b",
}
TRAINING = [setting for setting in PROTOCOLS.values() if setting.trains]


def allowed(study: Study) -> list[StudyProtocol]:
    """The protocols that can serve a study."""
    return _allowed(study.name)


@cache
def _allowed(name: str) -> list[StudyProtocol]:
    (study,) = (study for study in DECLARED if study.name == name)
    found: list[StudyProtocol] = []
    for protocol in TRAINING:
        with suppress(Refused):
            study.planned_jobs(protocol, 1)
            found.append(protocol)
    return found


def test_the_studies_of_the_published_claims_are_there() -> None:
    wanted = {"ablate_dcc", "ablate_loss", "ablate_levels", "ablate_bins", "ablate_neck", "compare_backbones"}
    assert wanted | {"profile_persons"} <= set(known_studies())
    claims = {
        claim.id.split(maxsplit=1)[0].rstrip(",") for name in known_studies() for claim in _claims(find_study(name))
    }
    assert {f"C{i}" for i in range(1, 9)} <= claims


def _claims(study: Study | TimingStudy | Search) -> tuple[Better | Cheaper, ...]:
    if isinstance(study, Search):
        return ()
    return study.claims if isinstance(study, TimingStudy) else (*study.claims, *study.costs)


@pytest.mark.parametrize("name", known_studies())
def test_a_study_is_one_short_file_named_after_it(name: str) -> None:
    assert find_study(name).name == name
    text = (ROOT / "studies" / f"{name}.py").read_text("utf-8")
    assert "Written from the search" in text or len(text.splitlines()) <= 60


@pytest.mark.slow
@pytest.mark.parametrize("study", DECLARED, ids=lambda study: study.name)
def test_every_row_has_a_job_of_its_own_under_every_protocol(study: Study) -> None:
    assert PROTOCOLS[study.default] in allowed(study)
    for setting in allowed(study):
        cells = study.planned_jobs(setting)
        assert len({cell.job.key for cell in cells}) == len(cells), setting.name
        assert {cell.row for cell in cells} == {row.label for row in study.rows}
        if setting.name == study.default:  # no verdict comes from one
            assert len({(cell.seed, cell.trunk) for cell in cells}) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", known_studies())
def test_every_row_builds_under_every_protocol(name: str) -> None:
    if isinstance(study := find_study(name), Search):
        pytest.skip("it has candidates, which have tests of their own")
    settings = PROTOCOLS.values() if isinstance(study, TimingStudy) else [*allowed(study), PROTOCOLS["cost"]]
    profile = study if isinstance(study, TimingStudy) else study.profile()
    variants = (profile.variant(row, setting.scale) for setting in settings for row in profile.rows)
    built = {(v.backbone, v.neck, v.head, v.coords): v for v in variants}
    for variant in built.values():
        with torch.device("meta"):
            Network(variant, seed=0)
        scored, placed = _cells(variant.backbone, variant.neck, variant.head)
        assert scored == placed > 0


@cache
def _cells(backbone: Backbone, neck: Neck, head: Head) -> tuple[int, int]:
    """How many cells have scores, and how many a place: of all rows with these parts, whatever reads the cells."""
    with torch.no_grad():
        dense = Network(Variant(backbone=backbone, neck=neck, head=head), seed=0)(torch.rand(2, 3, 64, 64))
    return dense.cls.shape[1], len(dense.points)


@pytest.mark.slow
@pytest.mark.parametrize("study", DECLARED, ids=lambda study: study.name)
def test_rows_differ_in_effect(study: Study) -> None:
    check_distinct(study.planned_jobs(PROTOCOLS[study.default], 1))


@pytest.mark.parametrize("study", [study for study in DECLARED if study.whole], ids=lambda study: study.name)
def test_frozen_trunks_are_refused_where_they_can_not_serve(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        Refused, match=rf"protocol probe trains on frozen trunks, and .*; use --protocol {study.default}"
    ):
        study.planned_jobs(PROTOCOLS["probe"])
    assert command.main(["study", "status", study.name, "--protocol", "probe"]) == 2
    assert study.whole in capsys.readouterr().err


def test_a_change_may_follow_the_scaled_base() -> None:
    study = find_study("ablate_neck")
    assert isinstance(study, Study)
    published, small = (study.variant(study.rows[-1], scale).neck for scale in ({}, PROTOCOLS["short"].scale))
    assert isinstance(published, PAFPN) and isinstance(small, PAFPN)
    assert (published.width, published.out_channels) == (0.5, 256)
    assert (small.width, small.out_channels) == (nano().backbone.to_dict()["width"], 128)


def test_seeds_of_a_study_are_those_of_its_default() -> None:
    study = Study("s", "", "", nano(), (Row("a"),), default="t", seeds=5)
    own, other = (StudyProtocol(name, "", Protocol(size=(96, 96)), seeds=2) for name in ("t", "u"))
    assert [len(study.planned_jobs(own)), len(study.planned_jobs(own, 3)), len(study.planned_jobs(other))] == [5, 3, 2]


@pytest.mark.slow
@pytest.mark.parametrize("study", DECLARED, ids=lambda study: study.name)
def test_the_default_computes_every_loss_that_it_compares(study: Study) -> None:
    """A phase that no epoch begins in never comes, and a loss of that phase alone is never computed."""
    jobs = [one.job for one in study.planned_jobs(PROTOCOLS[study.default], 1)]
    declared = [{loss.term: loss.weights for loss in job.variant.losses} for job in jobs]
    of_all = set.intersection(*map(set, declared))
    for job, weights in zip(jobs, declared, strict=True):
        epochs = range(job.start.epoch, job.protocol.last)
        reached = {phase_at(job, epoch / job.protocol.epochs) for epoch in epochs}
        assert all(any(weights[term][phase] for phase in reached) for term in set(weights) - of_all)


def test_what_is_declared_wrong_is_refused_when_it_is_read() -> None:
    def study(*claims: Better, costs: tuple[Cheaper, ...] = ()) -> Study:
        return Study("s", "", "", nano(), (Row("a"), Row("b", {"coords.padding": 1.5})), claims, costs)

    with pytest.raises(Refused, match=r"claims \['C', 'C'\] are not unique"):
        study(Better("C", "", "a", "b"), costs=(Cheaper("C", "", "a", "b"),))
    with pytest.raises(Refused, match="speaks of row 'c'"):
        study(costs=(Cheaper("C", "", "a", "c"),))
    for metric in ("gflops", "mAP"):
        with pytest.raises(Refused, match=f"claim C speaks of '{metric}'.*AP50.*Cheaper"):
            study(Better("C", "", "a", "b", metric))
    with pytest.raises(Refused, match="claim C speaks of 'params'"):
        study(Better("C", "", "a", "b", beside=("mOKS", "params")))
    with pytest.raises(Refused, match="claim C is part of 'D', which is a claim itself; name the statement otherwise"):
        study(Better("C", "", "a", "b", part_of="D"), costs=(Cheaper("D", "", "a", "b"),))
    with pytest.raises(Refused, match="has no 'width'"):
        TimingStudy("s", "", "", nano(), (TimedRow("a", changes={"coords.width": 1}),))


class Wrong(NamedTuple):
    """What a file does, and how the line begins that refuses it."""

    name: str
    text: str
    said: str


HEADS = "from workbench.presets import rtmo\nfrom workbench.space import Factor, Search\n"
HEADS += "from workbench.study import Better, Cheaper, Cited, Row, Study, TimedRow, TimingStudy\n"


def _declared(**given: str) -> str:
    """A file with a study of two rows, some of its fields others."""
    fields = {
        "name": "'wrong'",
        "question": "'?'",
        "source": "'a test'",
        "base": "rtmo('s')",
        "rows": "(Row('a', {'coords.padding': 1.5}), Row('b'))",
    }
    words = ", ".join(f"{name}={text}" for name, text in {**fields, **given}.items())
    return f"{HEADS}STUDY = Study({words})\n"


WRONG_FILES = [
    Wrong("syntax", "STUDY = (", ", line 1: SyntaxError"),
    Wrong("a NUL", "x = 1\0", ": SyntaxError"),
    Wrong("no such name", "\nx = y", ", line 2: NameError: name 'y' is not defined"),
    Wrong("no such import", "from workbench.presets import nobody", ", line 1: ImportError"),
    Wrong("by zero", "1 / 0", ", line 1: ZeroDivisionError"),
    Wrong("circle", "from studies import wrong; wrong.STUDY", ", line 1: AttributeError"),
    Wrong("deep", "def f(): f()\nf()", ", line 1: RecursionError"),
    Wrong("ends", "import sys; sys.exit(0)", ", line 1: it ends the program"),
    Wrong("ends with words", "raise SystemExit('bye')", ", line 1: it ends the program"),
    Wrong("no rows field", HEADS + "STUDY = Study(name='wrong')", ", line 4: TypeError: .*'rows'"),
    Wrong("unknown field", _declared(sedes="3"), ", line 4: TypeError: .*'sedes'"),
    *(
        Wrong(f"{field}={text}", _declared(**{field: text}), f", line 4: study wrong.{field}")
        for field, texts in {
            "base": ("None", "'rtmo-s'", "rtmo"),
            "rows": ("None", "('a', 'b')", "Row('a')", "5"),
            "claims": ("'b beats a'", "('b beats a',)", "Better('C', '?', 'b', 'a')", "(Cheaper('C', '?', 'b', 'a'),)"),
            "costs": ("(Better('C', '?', 'b', 'a'),)", "3"),
            "seeds": ("'1'", "1.5", "True"),
            "question": ("None", "42", "'a\\x1b[31mb'", "'?' * 10_000"),
            "source": ("None", "'\\udc80'"),
            "default": ("None",),
        }.items()
        for text in texts
    ),
    Wrong("no rows", _declared(rows="()"), ", line 4: study wrong: it has no rows"),
    *(Wrong(f"seeds {n}", _declared(seeds=n), ", line 4: study wrong: seeds") for n in ("-3", "10**30")),
    *(
        Wrong(f"label {label[:20]}", _declared(rows=f"(Row({label}),)"), ", line 4: Row.label")
        for label in ("1", "None", "''", "' '", "'a\\nb'", "'a' * 20_000", "'\\udc80'", "'a\\x1b[31m'", "'=A1'", "'@x'")
    ),
    Wrong("label that calls", _declared(rows="""(Row('+ HYPERLINK("http://x")'),)"""), ", line 4: Row.label"),
    *(
        Wrong(f"changes {text}", _declared(rows=f"(Row('a', {text}),)"), ", line 4: .*Row.changes")
        for text in ("None", "'coords'", "['coords']", "{1: 2}")
    ),
    *(
        Wrong(f"changes {text}", _declared(rows=f"(Row('a', {text}),)"), ", line 4: study wrong, row 'a': ")
        for text in (
            "lambda: {}",
            "lambda base: None",
            "lambda base: {1: 2}",
            "lambda base: base.nothing",
            "{'backbone.width': float('nan')}",
            "{'coords.num_bins': (10**9, 10**9)}",
            "{'coords.nothing': 1}",
        )
    ),
    *(
        Wrong(f"offset {text}", _declared(rows=f"(Row('a', seed_offset={text}),)"), ", line 4: Row.seed_offset")
        for text in ("'1'", "-1", "10**30")
    ),
    *(
        Wrong(f"cited {text}", _declared(rows=f"(Row('a', {{}}, {text}),)"), ", line 4: Row.cited")
        for text in ("67", "'67'")
    ),
    Wrong("cited value", _declared(rows="(Row('a', {}, Cited('67', 'x')),)"), ", line 4: Cited.value"),
    *(
        Wrong(f"claim {text}", _declared(claims=f"(Better('C', '?', 'b', 'a', {text}),)"), ", line 4: Better 'C'.")
        for text in ("margin='1'", "margin=float('nan')", "beside='AP'", "more_than=('a',)", "from_scratch=1")
    ),
    Wrong("claim on itself", _declared(claims="(Better('C', '?', 'b', 'b'),)"), ", line 4: .* compares b with b"),
    Wrong("cost on itself", _declared(costs="(Cheaper('C', '?', 'b', 'b'),)"), ", line 4: .* compares b with b"),
    *(
        Wrong(f"cost {text}", _declared(costs=f"(Cheaper('C', '?', 'b', 'a', {text}),)"), ", line 4: Cheaper 'C'")
        for text in ("metric='watts'", "times='1'", "times=0.0", "times=float('inf')")
    ),
    Wrong(
        "one job against itself",
        _declared(rows="(Row('a'), Row('b'))", claims="(Better('C', '?', 'b', 'a'),)"),
        ": claim C compares 'b' with 'a', one and the same job",
    ),
    Wrong(
        "persons",
        HEADS + "STUDY = TimingStudy('wrong', '?', '?', rtmo('s'), (TimedRow('a', persons=10**9),))",
        ", line 4: TimedRow 'a': 1000000000 persons",
    ),
    Wrong(
        "search without a base",
        HEADS + "STUDY = Search('wrong', '?', '?', None, (Factor('a', {'x': {}}),))",
        ", line 4: search wrong.base",
    ),
    Wrong(
        "factor", HEADS + "STUDY = Search('wrong', '?', '?', rtmo('s'), (Factor('a', None),))", ", line 4: Factor.opt"
    ),
]


@pytest.mark.parametrize("wrong", WRONG_FILES, ids=lambda wrong: wrong.name)
def test_a_file_with_a_mistake_is_refused_in_one_line_with_its_place(
    wrong: Wrong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.py").write_text(wrong.text, "utf-8")
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(tmp_path)])
    sys.modules.pop("studies.wrong", None)
    assert command.main(["study", "status", "wrong"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and len(said.err) < 500
    assert re.match(rf"workbench: studies/wrong\.py{wrong.said}", said.err), said.err


@quickly
@given(st.sampled_from(DECLARING), st.data())
def test_no_value_of_a_field_gives_a_traceback(make: Callable[..., object], data: st.DataObject) -> None:
    """Whatever stands in one of its fields: it is taken, or refused."""
    names = [name for name in inspect.signature(make).parameters if name != "whole"]
    values = {name: GOOD[name] for name in names if name in GOOD}
    with suppress(Refused):
        make(**{**values, data.draw(st.sampled_from(names)): data.draw(junk())})


def test_the_default_is_the_studys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("workbench.experiments.runner.status", lambda run: seen.append(run.protocol.name) or 0)
    monkeypatch.setattr(
        "workbench.experiments.profiling.print_measured", lambda run: seen.append(run.protocol.name) or 0
    )
    for words in ("ablate_dcc", "ablate_levels", "profile_persons", "ablate_levels --protocol laptop"):
        assert command.main(["study", "status", *words.split()]) == 0
    assert seen == ["thaw", "short", "cost", "laptop"]


def test_a_study_without_rows_to_change_is_the_base() -> None:
    assert Study("s", "", "", nano(), (Row("a"),)).variant(Row("a")) == nano() != Variant()


def test_a_study_is_called_what_its_file_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy would write over the records of the study that it was copied from."""
    monkeypatch.setattr("studies.ablate_dcc.STUDY", replace(find_study("ablate_dcc"), name="other"))
    with pytest.raises(Refused, match=r"studies/ablate_dcc\.py calls itself 'other'; expected name='ablate_dcc'"):
        find_study("ablate_dcc")


@pytest.mark.parametrize(
    "name", ["studies.ablate_dcc", "ablate_dcc.STUDY", "a.b", ".", "..", "", " ", "nothing", "a/b"]
)
def test_what_is_no_study_is_refused_with_those_that_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match=rf"no study is called {re.escape(repr(name))}; there are \['ablate_bins', "):
        find_study(name)
    assert command.main(["study", "status", name]) == 2
    assert "no study is called" in capsys.readouterr().err


def test_a_package_that_a_study_needs_is_not_taken_for_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text("import studies.nowhere\n")
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(tmp_path)])
    with pytest.raises(Refused, match=r"studies/needy\.py, line 1: ModuleNotFoundError: .*'studies\.nowhere'"):
        find_study("needy")


def test_a_row_begins_with_its_own_job_on_the_same_trunk() -> None:
    """Rows that a frozen trunk can not tell apart share that job; what is changed of all jobs is changed of both."""
    moved = Row("moves the boxes", {"coords.box_gradient": True})
    study = Study("mine", "?", "here", nano(), (Row("base"), moved, Row("wider", {"coords.padding": 2.0})))
    thaw = PROTOCOLS["thaw"]
    assert thaw.first is not None and not thaw.frozen and PROTOCOLS["probe"].frozen
    jobs = study.planned_jobs(thaw, 1, {"protocol.epochs": 2, "variant.coords.gau": False})
    assert len({one.job.key for one in jobs}) == 3 * len(thaw.trunks) == len(jobs)
    for one in jobs:
        assert one.first is not None and one.job.start.key == one.first.job.key and one.job.start.phase == thaw.phase
        assert one.first.job.protocol.trunk.startswith(one.trunk) and not one.job.protocol.trunk
        assert (one.job.protocol.epochs, one.first.job.protocol.epochs) == (2, thaw.first.protocol.epochs)
        assert not any(job.variant.coords.gau for job in (one.job, one.first.job))  # pyright: ignore[reportAttributeAccessIssue]
    base, boxes, wider = (one.first.job.key for one in jobs[:3] if one.first)
    assert base == boxes != wider


def test_rows_begin_at_the_same_share_of_a_longer_training() -> None:
    study = Study("mine", "?", "here", nano(), (Row("base"), Row("wider", {"coords.padding": 2.0})))
    for epochs, stop in ((2, 1), (40, 24)):
        for one in study.planned_jobs(PROTOCOLS["fork"], 1, {"protocol.epochs": epochs}):
            assert one.first is not None
            assert one.job.start.epoch == one.first.job.protocol.stop == one.first.job.protocol.last == stop
            assert one.job.protocol.epochs == one.first.job.protocol.epochs == epochs
    with pytest.raises(Refused, match="60 % of the epochs, and of 1 epochs that leaves no whole ones; give more"):
        study.planned_jobs(PROTOCOLS["fork"], 1, {"protocol.epochs": 1})


def test_what_changes_the_trunk_is_no_subject_of_a_thaw() -> None:
    with pytest.raises(Refused, match="frozen trunks"):
        find_study("ablate_neck").planned_jobs(PROTOCOLS["thaw"])  # pyright: ignore[reportAttributeAccessIssue]


def test_losses_are_compared_where_both_sides_are_set_alike() -> None:
    """Rows say under every protocol whether boxes move; KLD's width is the one that the pair of `ablate_dcc` has."""
    study, dcc = find_study("ablate_loss"), find_study("ablate_dcc")
    assert isinstance(study, Study) and isinstance(dcc, Study)
    rows = {row.label: row for row in study.rows}
    for protocol in allowed(study):
        made = {label: study.variant(row, protocol.scale) for label, row in rows.items()}
        moving = {label for label, one in made.items() if one.coords.to_dict(defaults=True)["box_gradient"]}
        assert moving == {"MLE, moves boxes (RTMO)", "KLD, 1/32 wide, moves boxes"}
        still, moves = made["KLD, 1/32 wide"], made["KLD, 1/32 wide, moves boxes"]
        assert still.vary({"coords.box_gradient": True}) == moves
        assert made["MLE"].vary({"coords.box_gradient": True}) == made["MLE, moves boxes (RTMO)"]
        assert made["- OKS"] == made["MLE"].vary({"losses.OKS": None})
    pair, small = next(row for row in dcc.rows if row.label == "+ dynamic bin encoding"), PROTOCOLS["short"].scale
    assert dcc.variant(pair, small).losses == study.variant(rows["KLD, 1/32 wide"], small).losses
    assert [claim.id for claim in study.claims if claim.more_than] == ["boxes"]
    assert {claim.id for claim in study.claims} >= {"C4, as published", "VariFocal", "BoxAux"}


def test_what_a_joint_teacher_has_taught_decides_c1_alone() -> None:
    dcc = find_study("ablate_dcc")
    assert isinstance(dcc, Study)
    assert {claim.id: claim.teacher for claim in dcc.claims} == {
        "C1": "joint",
        **dict.fromkeys(("C2", "C3", "C4", "C4 margin"), ""),
    }
