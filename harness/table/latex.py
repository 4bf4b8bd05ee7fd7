"""A table as LaTeX: booktabs, and nothing in it that LaTeX would take for its own."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

# what has a meaning of its own, and what is written behind numbers
ESCAPED = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "±": r"$\pm$", "‡": r"\ddag{}", "†": r"\dag{}", "§": r"\S{}", "¶": r"\P{}", "‖": r"$\Vert$",
    "…": r"\dots{}",
})  # fmt: skip

# before a number, and no hyphen within a word or an exponent
MINUS = re.compile(r"(?<![\w.)}])-(?=\d)")


def escape(text: str) -> str:
    r"""The text as LaTeX prints it.

    >>> escape("mlp[width=8] ± 5%")
    'mlp[width=8] $\\pm$ 5\\%'
    """
    return MINUS.sub("$-$", text.translate(ESCAPED))


def booktabs(
    headings: Sequence[str],
    cells: Sequence[Sequence[str]],
    sides: Sequence[str],
    *,
    bold: Collection[tuple[int, int]] = (),
) -> str:
    """A tabular environment; its document needs the package `booktabs`.

    Args:
      headings: one a column, not escaped.
      cells: lines of texts, not escaped.
      sides: "left" or "right" for each column.
      bold: (line, column) of the cells that are emphasized.
    """
    written = [
        [_bold(escape(text)) if (i, j) in bold else escape(text) for j, text in enumerate(line)]
        for i, line in enumerate(cells)
    ]
    lines = [
        rf"\begin{{tabular}}{{{''.join(side[0] for side in sides)}}}",
        r"\toprule",
        _row([escape(text) for text in headings]),
        r"\midrule",
        *(_row(line) for line in written),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def captioned(tabular: str, below: str) -> str:
    """A table environment: the first line of `below` is its caption, the rest a note."""
    first, *rest = [escape(line) for line in below.splitlines()] or [""]
    note = [r"\par\smallskip", r"{\footnotesize " + r"\par ".join(rest) + r"\par}"]
    lines = [
        r"\begin{table}", r"\centering", rf"\caption{{{first}}}", tabular,
        *(note if rest else []), r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines)


def _row(texts: Sequence[str]) -> str:
    # a bracket at the beginning of a line would be an argument of the line break before it
    first = f"{{}}{texts[0]}" if texts[0][:1] in ("[", "*") else texts[0]
    texts = [first, *texts[1:]]
    return " & ".join(texts) + r" \\"


def _bold(text: str) -> str:
    return rf"\textbf{{{text}}}"
