"""`harness new`: begin a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click


@click.group("new")
def new() -> None:
    """Write the first files of a plugin, which work as they are."""


@new.command("model")
@click.argument("name")
@click.option("--package", is_flag=True, help="A distribution that can be installed.")
@click.option("--folder", default=".", help="Where.  [default: here]")
def model(name: str, package: bool, folder: str) -> None:
    """Begin a model: one file and its test, or a distribution."""
    _write("model", name, package, folder)


@new.command("dataset")
@click.argument("name")
@click.option("--package", is_flag=True, help="A distribution that can be installed.")
@click.option("--folder", default=".", help="Where.  [default: here]")
def dataset(name: str, package: bool, folder: str) -> None:
    """Begin a data set: one file and its test, or a distribution."""
    _write("dataset", name, package, folder)


def _write(kind: Literal["model", "dataset"], name: str, package: bool, folder: str) -> None:
    from harness.scaffold.render import New, render
    from harness.scaffold.write import write

    wanted = New(kind, name, package)
    for path in write(render(wanted), Path(folder)):
        click.echo(str(path))
    place = Path(folder) / (wanted.distribution if package else f"{name}.py")
    then = f"pip install -e {place}; harness check {name}"
    click.echo(f"next: {then if package else f'harness check {place}'}", err=True)
