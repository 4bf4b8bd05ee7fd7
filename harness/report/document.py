"""What a report says, section by section, read from a store.

Nothing here is HTML but the figures: the page's template lays out what it is given. Every
section is a list that may be empty, so that a store of failed runs, of one run or of none has
a report too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from harness.errors import HarnessError
from harness.frames import frame_of
from harness.report.answers import Answers, read_answers
from harness.report.calibration import Calibration, calibration_panels, calibrations
from harness.report.columns import Column, columns_of
from harness.report.confusion import Confusion, confusions
from harness.report.curves import curve_panels
from harness.report.disagreements import Example, disagreements, pair_counts
from harness.report.forest import Scale, scale
from harness.report.gates import gate_ratios_figure
from harness.report.history import histories_of
from harness.report.lines import Line, datasets, read_lines, tabulated
from harness.report.look import Look, Panel, alone, drawing, inline
from harness.report.origin import Declared, places, run_commands, table_commands
from harness.report.statuses import Run, read_runs
from harness.report.step_times import StepTimes, read_step_times, step_times_panel
from harness.report.superseded import superseded
from harness.report.tradeoff import tradeoff_panel, why_not_judged
from harness.report.trials import Trial, read_trials
from harness.report.tuning import tuning_of
from harness.rows import Row
from harness.store import Store
from harness.table import caption


@dataclass(frozen=True)
class Data:
    """A data set as a report needs it.

    Attributes:
      class_names: of its classes.
      texts: test examples in words by their positions; raises HarnessError where they cannot
        be decoded.
    """

    class_names: tuple[str, ...]
    texts: Callable[[Sequence[int]], Mapping[int, str]]


# the data of a run; raises HarnessError where it is not to be had
Load = Callable[[Row], Data]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a report is made of.

    Attributes:
      rows: in the order of the store.
      runs, conditions: how they were chosen, for the commands in the page.
      target_accuracy: as for `tabulate`.
      load: reads data sets; None leaves all data out, and with them what may quote some:
        error messages and logs.
      declared: the default parameters of entries, which commands need not say.
      store, plugins: the store and the plugin files as they were named, for the commands;
        the store's own name, with its whole path, where nothing was.
    """

    rows: Sequence[Row]
    runs: Sequence[str] = ()
    conditions: Sequence[str] = ()
    target_accuracy: float | None = None
    load: Load | None = None
    declared: Declared = field(default_factory=dict)
    store: str = ""
    plugins: Sequence[str] = ()

    @property
    def told(self) -> list[Row]:
        """The rows, without error messages where data are left out: one may quote them."""
        if self.load is not None:
            return list(self.rows)
        return [{**row, "error_message": None} for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure of the page."""

    svg: Markup
    title: str
    description: str
    legend: tuple[tuple[str, Look], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The tuning of one data set.

    Attributes:
      models: how many lines have trials that could be drawn.
    """

    name: str
    models: int
    figures: Sequence[Drawn]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """All that is said of the lines of one data set.

    Attributes:
      key: letters and digits, for ids.
      answered: the lines whose answers are compared, in order.
      unanswered: the models of the other lines that have ok runs.
      pairs: by two places among them, on how many examples who is right.
      no_front: why accuracy and step time have no front, "" if they have.
      note: why no examples are shown, "" if they are.
    """

    key: str
    name: str
    lines: Sequence[Line]
    scale: Scale | None
    curves: Sequence[Drawn]
    tradeoff: Drawn | None
    no_front: str
    steps: Sequence[StepTimes]
    step_times: Drawn | None
    confusions: Sequence[Confusion]
    calibrations: Sequence[Calibration]
    reliability: Sequence[Drawn]
    answered: Sequence[Answers]
    unanswered: Sequence[str]
    class_names: Sequence[str]
    examples: Sequence[Example]
    pairs: Sequence[Sequence[Mapping[str, int]]]
    note: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report.

    Attributes:
      superseded: how many rows are left out because later ones took their place.
      has_examples: whether data are in it, and error messages and logs, which may quote them.
      is_chosen: whether it is of some runs of the store, not of all.
    """

    data_sets: Sequence[DataSet]
    columns: Sequence[Column]
    caption: str
    runs: Sequence[Run]
    superseded: int
    trials: Sequence[Trial]
    tuning: Sequence[Tuned]
    gates: Sequence[Mapping[str, Any]]
    gate_ratios: Drawn | None
    places: Sequence[tuple[str, str]]
    table_commands: Sequence[str]
    run_commands: Sequence[str]
    has_examples: bool
    is_chosen: bool = False
    lines: Sequence[Line] = field(default=())

    @property
    def in_no_line(self) -> set[str]:
        """Ids of the runs that are in no line.

        The line of such a run has runs of other code, data or tuning, or it had one of the
        same seed that ended well, and this one did not.
        """
        held = {row["run_id"] for line in self.lines for row in line.rows}
        return {run.run_id for run in self.runs if run.kind == "run"} - held


def read_document(store: Store, asked: Asked) -> Document:
    """Reads everything that a report says.

    Raises:
      StoreError: the store cannot be read.
      UsageError: the target is no accuracy.
    """
    gone = superseded(asked.rows)
    rows = [row for row in asked.told if row["run_id"] not in gone]
    frame = frame_of(rows)
    table = tabulated(store, frame, target_accuracy=asked.target_accuracy)
    lines = [] if table is None else read_lines(frame, table)
    trials = read_trials(frame, lines)
    is_chosen = bool(asked.runs or asked.conditions)
    gates = [] if is_chosen else store.gates()
    timed = [gate for gate in gates if gate["ratio"]]
    ok = [row for line in lines for row in line.ok]
    return Document(
        lines=lines,
        data_sets=[
            _data_set(store, f"d{number}", name, own, asked.load)
            for number, (name, own) in enumerate(datasets(lines).items())
        ],
        columns=columns_of(lines),
        # a page has no compile times, so nothing is to be said of them
        caption="" if table is None else caption(frame.assign(compile_cache=None), table),
        runs=read_runs(rows, with_logs=asked.load is not None),
        superseded=len(gone),
        trials=trials,
        tuning=_tuned(trials),
        gates=gates,
        gate_ratios=_gates(timed) if timed else None,
        places=places(ok),
        table_commands=_table_commands(store, asked),
        run_commands=run_commands(lines, declared=asked.declared),
        has_examples=asked.load is not None,
        is_chosen=is_chosen,
    )


def _table_commands(store: Store, asked: Asked) -> list[str]:
    return table_commands(
        asked.store or store.name, conditions=asked.conditions, runs=asked.runs,
        target=asked.target_accuracy, plugins=asked.plugins, with_data=asked.load is not None,
    )  # fmt: skip


def _data_set(
    store: Store, key: str, name: str, lines: Sequence[Line], load: Load | None
) -> DataSet:
    histories, _ = histories_of(store, [row for line in lines for row in line.ok])
    steps = read_step_times(store, lines)
    answers = _comparable(read_answers(store, lines))
    data, note = _load(load, answers)
    names = data.class_names if data is not None else ()
    names = (*names, *(str(n) for n in range(len(names), _classes(answers))))
    calibrated = calibrations(answers)
    examples: Sequence[Example] = ()
    if data is not None:
        try:
            examples = disagreements(answers, data.texts)
        except HarnessError as error:
            note = str(error)
    return DataSet(
        key=key, name=name, lines=lines, scale=scale(lines),
        curves=_drawn(curve_panels(lines, {h.run_id: h for h in histories}), f"{key}curves"),
        tradeoff=_one(tradeoff_panel(lines), f"{key}tradeoff"), no_front=why_not_judged(lines),
        steps=steps, step_times=_one(step_times_panel(steps), f"{key}steps"),
        confusions=confusions(answers, names), calibrations=calibrated,
        reliability=_drawn(calibration_panels(calibrated), f"{key}calibration"),
        answered=answers, unanswered=_without(lines, answers), class_names=names,
        examples=examples, note=note,
        pairs=[[pair_counts(a, b) for b in answers] for a in answers],
    )  # fmt: skip


def _without(lines: Sequence[Line], answers: Sequence[Answers]) -> list[str]:
    """The models that were measured and have no answers to lay beside the others'."""
    have = {one.line.number for one in answers}
    return [line.model for line in lines if answers and line.ok and line.number not in have]


def _comparable(answers: Sequence[Answers]) -> list[Answers]:
    """Those to the test set that most lines have: only they can be laid side by side."""
    tests = [one.data for one in answers]
    most = max(dict.fromkeys(tests), key=tests.count, default=None)
    return [one for one in answers if one.data == most]


def _classes(answers: Sequence[Answers]) -> int:
    return max((one.classes for one in answers), default=0)


def _load(load: Load | None, answers: Sequence[Answers]) -> tuple[Data | None, str]:
    """The data set, or why there is none."""
    if load is None or not answers:
        return None, ""
    try:
        return load(answers[0].row), ""
    except HarnessError as error:
        return None, str(error)


def _drawn(panels: Sequence[Panel], key: str) -> list[Drawn]:
    return [_draw(panel, f"{key}{number}") for number, panel in enumerate(panels)]


def _tuned(trials: Sequence[Trial]) -> list[Tuned]:
    return [
        Tuned(
            name=one.dataset, models=one.models,
            figures=_drawn(one.panels, f"tuning{number}panel"),
        )
        for number, one in enumerate(tuning_of(trials))
    ]  # fmt: skip


def _one(panel: Panel | None, key: str) -> Drawn | None:
    return None if panel is None else _draw(panel, key)


def _draw(panel: Panel, key: str) -> Drawn:
    svg = inline(alone(panel), key=key, title=panel.title, description=panel.description)
    return Drawn(
        svg=Markup(svg), title=panel.title, description=panel.description, legend=panel.legend
    )


def _gates(timed: Sequence[Mapping[str, Any]]) -> Drawn:
    title, told = "Step-time ratios of gates", "The numbers are in the table below."
    with drawing():
        figure = gate_ratios_figure(timed)
    svg = inline(figure, key="gates", title=title, description=told)
    return Drawn(svg=Markup(svg), title=title, description=told)
