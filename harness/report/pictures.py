"""The report's figures as figures of their own, for files: all panels of a kind in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from harness.frames import frame_of
from harness.report.answers import read_answers
from harness.report.calibration import calibration_panels, calibrations
from harness.report.confusion import confusion_panels, confusions
from harness.report.curves import curve_panels
from harness.report.history import History
from harness.report.lines import Line, datasets, read_lines, tabulated
from harness.report.look import Panel, together
from harness.report.step_times import read_step_times, step_times_panel
from harness.report.tradeoff import tradeoff_panel
from harness.report.trials import Trial, read_trials
from harness.report.tuning import tuning_of
from harness.rows import Row
from harness.store import Store

SIDE_BY_SIDE = 4  # small panels


def line_figures(
    store: Store, rows: Sequence[Row], histories: Sequence[History]
) -> dict[str, Figure]:
    """A figure for each kind of panel that the rows have something for, by its name."""
    frame = frame_of(rows)
    table = tabulated(store, frame)
    if table is None:
        return {}
    lines = read_lines(frame, table)
    known = {history.run_id: history for history in histories}
    kinds: dict[str, Callable[[Sequence[Line]], list[Panel]]] = {
        "learning_curves": lambda own: curve_panels(own, known),
        "accuracy_step_time": lambda own: _listed(tradeoff_panel(own)),
        "step_times": lambda own: _listed(step_times_panel(read_step_times(store, own))),
        "confusion": lambda own: confusion_panels(confusions(read_answers(store, own), ())),
        "calibration": lambda own: calibration_panels(calibrations(read_answers(store, own))),
    }
    found = {}
    for name, make in kinds.items():
        panels = [
            _of(dataset, panel)
            for dataset, own in datasets(lines).items()
            for panel in make(own)
        ]
        if panels:
            found[name] = _figure(panels)
    tuning = _tuning(read_trials(frame, lines))
    return found | ({"tuning": _figure(tuning)} if tuning else {})


def _tuning(trials: Sequence[Trial]) -> list[Panel]:
    return [_of(one.dataset, panel) for one in tuning_of(trials) for panel in one.panels]


def _figure(panels: Sequence[Panel]) -> Figure:
    is_small = max(panel.width for panel in panels) <= 400
    return together(panels, columns=SIDE_BY_SIDE if is_small else 2)


def _listed(panel: Panel | None) -> list[Panel]:
    return [] if panel is None else [panel]


def _of(dataset: str, panel: Panel) -> Panel:
    """A panel that names its data set."""
    return replace(panel, title=f"{dataset}: {panel.title}")
