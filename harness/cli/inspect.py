"""`harness inspect`: a run's predictions on single examples, or a model's layers."""

from __future__ import annotations

import click

from harness.cli.options import plugin_option, store_option, store_url
from harness.errors import UsageError


@click.command("inspect")
@click.argument("target", metavar="RUN|MODEL")
@click.option("--examples", metavar="I,J,...", help="Test examples of RUN to decode.")
@click.option("-d", "--dataset", metavar="SELECTION", help="Show MODEL's layers on this data.")
@plugin_option()
@store_option()
def inspect_command(
    target: str,
    examples: str | None,
    dataset: str | None,
    plugins: tuple[str, ...],
    store: str | None,
) -> None:
    """Decode test examples of a RUN, or show the layers of a MODEL.

    \b
    harness inspect 3f2a --examples 0,500,600
    harness inspect transformer:deep -d imdb
    """
    if (examples is None) == (dataset is None):
        raise UsageError(
            f"inspect {target!r}: give --examples 0,500 with a run, or -d imdb with a model"
        )
    if dataset is not None:
        from harness.inspection import model_summary

        width = max(80, click.get_current_context().terminal_width or 120)
        click.echo(model_summary(target, dataset, plugins=plugins, width=width))
        return
    assert examples is not None
    _show_examples(target, parse_indices(examples), plugins, store_url(store))


def parse_indices(text: str) -> list[int]:
    """`0,500,600` as numbers.

    Raises:
      UsageError: something between the commas is no whole number.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"--examples {text!r}: expected whole numbers, as in 0,500,600")
    return [int(part) for part in parts]


def _show_examples(target: str, indices: list[int], plugins: tuple[str, ...], url: str) -> None:
    from harness.inspection import examples_of, format_example
    from harness.store import open_store

    with open_store(url, must_exist=True) as store:
        row = store.find(target)
        name = f"{row['model']}:{row['variant']}" if row["variant"] else row["model"]
        shown = examples_of(store, row, indices, plugins=plugins)
    kept = "" if row["saved_bytes"] is None else ", parameters kept"
    click.echo(f"run {row['run_id']}: {name} on {row['dataset']}, seed {row['seed']}{kept}")
    click.echo("\n\n".join(format_example(example) for example in shown))
