"""`harness run`: plan, run, store, tabulate."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli.asked import make_cluster, make_suite
from harness.cli.options import (
    check_output,
    format_option,
    output_option,
    plugin_option,
    report_failures,
    store_option,
    store_url,
    table_text,
    target_option,
    write_output,
)
from harness.deadlines import parse_phases
from harness.errors import RowsKept, counted
from harness.recipe import OPTIMIZERS, PRECISIONS, SCHEDULES
from harness.rows import Row, storable_row
from harness.suites import (
    Suite,
)

if TYPE_CHECKING:
    from harness.api import Options
    from harness.registry import Registry


@click.command("run")
@click.argument("suite", required=False, metavar="[SUITE.toml]")
@click.option(
    "-d",
    "--dataset",
    "datasets",
    multiple=True,
    metavar="SELECTION",
    help="A data set, as in imdb[max_length=400]. Repeatable.",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="SELECTION",
    help="A model, as in transformer:* or mean_pool[width=16,64]. Repeatable.",
)
@click.option("--epochs", type=int, help="Passes over the training data.  [default: 10]")
@click.option("--batch-size", type=int, help="Examples a training step.  [default: 128]")
@click.option(
    "--eval-batch-size", type=int, help="Examples an evaluation batch.  [default: 256]"
)
@click.option(
    "--optimizer",
    metavar="SELECTION",
    help="A registered optimizer, as in adamw[weight_decay=0.1], or an optax name: "
    f"{', '.join(OPTIMIZERS)}.  [default: adam]",
)
@click.option("--learning-rate", type=float, help="(Peak) learning rate.  [default: 1e-3]")
@click.option(
    "--schedule",
    metavar="NAME",
    help=f"An optax name: {', '.join(SCHEDULES)}.  [default: constant]",
)
@click.option("--seeds", type=int, metavar="N", help="Seeds 0 to N-1.")
@click.option("--seed", type=int, metavar="K", help="One seed.  [default: 0]")
@click.option(
    "--vmap-seeds",
    is_flag=True,
    help="Train the seeds of a cell in one program, which accelerators are quicker at.",
)
@click.option(
    "--validation",
    type=float,
    metavar="F",
    help="Fraction of the training data held out; 0 evaluates the test set every "
    "epoch.  [default: 0, with --tune 0.1]",
)
@click.option(
    "--select",
    type=click.Choice(["last", "best"]),
    help="The epoch that counts; best is chosen on validation.  [default: last, with "
    "--tune best]",
)
@click.option(
    "--limit", type=int, metavar="N", help="Only the first N examples of both splits."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="What models compute in; parameters stay float32.  [default: float32]",
)
@click.option(
    "--accumulate",
    type=int,
    metavar="N",
    help="A batch goes through in N parts and makes one update.  [default: 1]",
)
@click.option(
    "--devices",
    type=int,
    metavar="N",
    help="Each batch is split over N devices (data parallelism).  [default: 1]",
)
@click.option(
    "--processes",
    type=int,
    metavar="P",
    help="A run is P processes, which share its devices evenly.  [default: 1]",
)
@click.option(
    "--grid",
    multiple=True,
    metavar="KEY=V1,V2",
    help="Several values of a hyper-parameter. Repeatable.",
)
@click.option(
    "--tune",
    multiple=True,
    metavar="KEY[=RANGE]",
    help="A hyper-parameter whose value is chosen for each cell on validation, as in "
    "learning_rate=1e-4:1e-2:log or model.dropout=0,0.1,0.3. Repeatable.",
)
@click.option(
    "--budget",
    type=int,
    metavar="N",
    help="Trials for each cell that --tune compares.  [default: 8, fewer in a smaller space]",
)
@click.option(
    "--tune-limit",
    type=int,
    metavar="N",
    help="Trials see only the first N examples, of which they hold some out.  [default: all]",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="SELECTION",
    help="Measured beside loss and accuracy, as in macro_f1. Repeatable.",
)
@click.option(
    "--observer",
    "observers",
    multiple=True,
    metavar="SELECTION",
    help="Hears of the runs, as in tensorboard[folder=logs]. Repeatable.",
)
@plugin_option()
@store_option()
@click.option(
    "--resume",
    is_flag=True,
    help="Reuse stored ok rows of the same runs; killed runs go on at their last checkpoint.",
)
@click.option(
    "--rerun",
    type=click.Choice(["failed", "all"]),
    help="Perform only the runs whose stored row is not ok, or all.  [default: all]",
)
@click.option(
    "--checkpoint",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Write a checkpoint of a run every S seconds; 0 writes none.  [default: 60]",
)
@click.option(
    "--save", is_flag=True, help="Keep the trained parameters, for `harness predict`."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Stop a run after S seconds.",
)
@click.option(
    "--phase-timeout",
    "phase_timeouts",
    multiple=True,
    metavar="PHASE=S",
    help="Stop a run that stays in a phase for S seconds, as in compile=60. Repeatable.",
)
@click.option("--in-process", is_flag=True, help="No worker processes, for a debugger.")
@click.option(
    "--executor",
    type=click.Choice(["process", "dask"]),
    default="process",
    show_default=True,
    help="Where runs go on: a process of this machine each, or the workers of a Dask cluster.",
)
@click.option("--scheduler", metavar="URL", help="Address of Dask's, as in tcp://head:8786.")
@click.option("--workers", type=int, metavar="N", help="Start N workers of Dask's here.")
@click.option(
    "--resource",
    "resources",
    multiple=True,
    metavar="NAME=AMOUNT",
    help="What a run takes of its Dask worker, as in gpu=1 or memory=8e9. Repeatable.",
)
@click.option(
    "--ship",
    multiple=True,
    metavar="PATH",
    help="A file or folder of data that Dask's workers get a copy of. Repeatable.",
)
@click.option(
    "--exclusive",
    is_flag=True,
    help="A run has its machine alone among all that ask for it, so that times compare.",
)
@click.option("--allow-failures", is_flag=True, help="Exit with 0 even if a run is not ok.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and what the store has of it.")
@click.option(
    "--explain",
    is_flag=True,
    help="The same with every reason, and the key of a single run; all are in --format json.",
)
@target_option()
@format_option("text", "markdown", "latex", "csv", "json")
@output_option()
def run_command(suite: str | None, **options: Any) -> int:
    """Train every model on every data set and print a table.

    Without SUITE and selections, the embedded default suite runs.
    """  # fmt: skip
    from harness.api import Options, perform
    from harness.cli.progress import make_listener
    from harness.index import open_registry

    asked = make_suite(suite, options)
    how = Options(
        in_process=options["in_process"],
        timeout=options["timeout"],
        phase_timeouts=parse_phases(options["phase_timeouts"]),
        resume=options["resume"],
        rerun=options["rerun"] or "",
        save=options["save"],
        exclusive=options["exclusive"],
        cluster=make_cluster(options),
    )
    if options["checkpoint"] is not None:
        how = replace(how, checkpoint_s=options["checkpoint"])
    check_output(options["output"])
    known = open_registry(asked.plugins)
    report_failures(known)
    if options["dry_run"] or options["explain"]:
        _print_plan(asked, known, options, how)
        return 0
    # what a batch system sends before it kills is handled like Ctrl-C
    signal.signal(signal.SIGTERM, _terminated)
    url = store_url(options["store"])
    listener = make_listener(sys.stderr, several=how.cluster is not None)
    try:
        rows = perform(asked, known, options=how, store=url, listener=listener)
    except RowsKept as error:
        _print_rows(error.rows, options)
        raise
    _print_rows(rows, options, url)
    fine = all(row["status"] == "ok" or _is_borne(row) for row in rows)
    return 0 if options["allow_failures"] or fine else 3


def _is_borne(row: Row) -> bool:
    """Whether it is a trial that ended as its values may let it, or as its cell's runs say."""
    return row["kind"] == "trial" and row["status"] not in ("failed", "timeout", "oom")


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt("SIGTERM")


def _print_rows(rows: list[Row], options: Mapping[str, Any], url: str | None = None) -> None:
    """The table; without a store, whose answers give intervals, a table of the rows alone."""
    from harness.frames import frame_of  # late: a usage error need not wait for it
    from harness.store import open_store

    frame = frame_of(map(storable_row, rows))
    format_, target = options["format_"], options["target_accuracy"]
    if url is None:
        text = table_text(frame, format_)
    else:
        with open_store(url) as opened:
            text = table_text(frame, format_, store=opened, target_accuracy=target)
    write_output(text, options["output"])
    _explain_failures(rows)


def _print_plan(
    asked: Suite, known: Registry, options: Mapping[str, Any], how: Options
) -> None:
    from harness.cli.plan import budgets, describe, describe_cells, to_text
    from harness.plan import expand
    from harness.tuning import tuned_cells

    url, cells = store_url(options["store"]), []
    if asked.tune:
        cells = tuned_cells(asked, known, key_parts=how.key_parts(), note=_note)
        how.check(run for cell in cells for run in cell.first)
        records = describe_cells(cells, url, how)
    else:
        runs = expand(asked, known, key_parts=how.key_parts())
        how.check(runs)
        records = describe(runs, url, how)
    if options["format_"] == "json":
        text = json.dumps(records, indent=2)
    else:
        text = "\n".join([to_text(records, explain=options["explain"]), *budgets(cells)])
    write_output(text, options["output"])


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _explain_failures(rows: list[Row]) -> None:
    """One line on standard error for each run that began and is not ok.

    Trials that diverged are counted, in one line.
    """
    trials = [row for row in rows if row["kind"] == "trial"]
    lost = [r["status"] for r in trials if r["status"] not in ("ok", "interrupted")]
    if lost:
        told = ", ".join(f"{lost.count(status)} {status}" for status in dict.fromkeys(lost))
        _note(f"of {counted(len(trials), 'trial')} {len(lost)} not ok ({told})")
    for row in rows:
        begun = row["status"] != "interrupted" or row["log_path"]
        if row["status"] != "ok" and begun and not _is_borne(row):
            name = f"{row['model']}:{row['variant']}" if row["variant"] else row["model"]
            which = "trial, seed" if row["kind"] == "trial" else "seed"
            print(
                f"{row['status']}: {row['dataset']} x {name}, {which} {row['seed']}, "
                f"{row['phase']}: {row['error_type']}: {row['error_message']}"
                + (f" (log {row['log_path']})" if row["log_path"] else ""),
                file=sys.stderr,
            )
