"""`harness predict`: new texts, classified by a run's trained model."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from harness.cli.options import (
    check_output,
    format_option,
    output_option,
    plugin_option,
    store_option,
    store_url,
    write_output,
)
from harness.errors import UsageError, counted
from harness.rows import storable

if TYPE_CHECKING:
    from harness.prediction import Prediction, Text

SHOWN = 60  # characters of a text in the table


@click.command("predict")
@click.argument("run", metavar="RUN")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--file", "path", metavar="PATH", help="A file with one text a line; - is standard input."
)
@plugin_option()
@store_option()
@format_option("text", "csv", "json")
@output_option()
def predict_command(
    run: str,
    texts: tuple[str, ...],
    path: str | None,
    plugins: tuple[str, ...],
    store: str | None,
    format_: str,
    output: str | None,
) -> None:
    """Classify TEXTs with the model that RUN has trained and kept (run --save).

    RUN is the start of a run's id. CSV and JSON have each class's probability.

    \b
    harness predict 3f2a "what a wonderful film"
    harness predict 3f2a --file reviews.txt --format csv -o predicted.csv
    """
    from harness.prediction import Text, predict
    from harness.store import open_store
    from harness.worker import use_compilation_cache

    given = [Text(storable(text), f"text {i}") for i, text in enumerate(texts, start=1)]
    if path is not None:
        given += _read(path)
    if not given:
        raise UsageError(f"predict {run!r}: give a text, or --file PATH with one a line")
    check_output(output)
    use_compilation_cache()
    with open_store(store_url(store), must_exist=True) as opened:
        found = predict(
            opened, opened.find(run), given, plugins=plugins,
            note=lambda text: print(f"note: {text}", file=sys.stderr),
        )  # fmt: skip
    write_output({"csv": _csv, "json": _json, "text": _table}[format_](found), output)


def _read(path: str) -> list[Text]:
    """The lines of a file that are not blank.

    Raises:
      UsageError: it cannot be read, or has no such line.
    """
    from harness.prediction import Text

    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            content = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                content = file.read()
        lines = content.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except OSError as error:
        raise UsageError(f"--file {path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"--file {path}: byte {error.start} is no UTF-8; convert it, as with iconv"
        ) from None
    if lines[-1] == "":  # behind the last line's end
        lines.pop()
    found = [Text(t, f"{name}, line {i}") for i, t in enumerate(lines, start=1) if t.strip()]
    if not found:
        raise UsageError(f"--file {path}: there is no text in it; expected one a line")
    if len(found) < len(lines):
        blank = counted(len(lines) - len(found), "blank line")
        print(f"note: {blank} of {name} left out", file=sys.stderr)
    return found


def _table(found: Sequence[Prediction]) -> str:
    from tabulate import tabulate

    lines = [(_cut(p.text), p.predicted, f"{p.probability:.4f}") for p in found]
    return tabulate(
        lines, headers=("text", "predicted", "probability"), disable_numparse=True,
        colalign=("left", "left", "right"),
    )  # fmt: skip


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


def _csv(found: Sequence[Prediction]) -> str:
    import csv
    import io

    file = io.StringIO()
    names = list(found[0].probabilities)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["text", "predicted", "probability", *(f"probability of {name}" for name in names)]
    )
    for p in found:
        each = (p.probability, *p.probabilities.values())
        writer.writerow([p.text, p.predicted, *(_number(value) for value in each)])
    return file.getvalue()


def _json(found: Sequence[Prediction]) -> str:
    records = [
        {
            "text": p.text, "predicted": p.predicted, "probability": _number(p.probability),
            "probabilities": {name: _number(v) for name, v in p.probabilities.items()},
        }
        for p in found
    ]  # fmt: skip
    return json.dumps(records, indent=2)


def _number(value: float) -> float | None:
    """As many digits as a float32 has; nothing for what is no number."""
    return float(f"{value:.7g}") if value == value else None
