from __future__ import annotations

from answered import answered_rows, stored

from harness.table import tabulate, to_text
from harness.table.latex import booktabs, captioned, escape


def test_what_latex_would_take_for_its_own_is_escaped():
    text = "a_b & 5% {x} ~ ^ \\ $1 #2 <&> ± ‡†§¶‖…"
    escaped = escape(text)
    assert escaped.isascii()
    assert escape("[-0.1, +0.2] -3 1e-5 a-1 -") == "[$-$0.1, +0.2] $-$3 1e-5 a-1 -"
    assert r"a\_b \& 5\% \{x\}" in escaped and r"\textbackslash{}" in escaped


def test_a_table_has_a_row_a_line_and_its_rules():
    text = booktabs(
        ["model", "n"], [["[a]", "1"], ["b", "2"]], ["left", "right"], bold={(1, 1)}
    )
    assert text.splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"model & n \\", r"\midrule", r"{}[a] & 1 \\",
        r"b & \textbf{2} \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip


def test_what_is_below_a_table_is_printed_as_its_caption_and_a_note():
    text = captioned("TABULAR", "6 runs_x\n§ one seed\n* differs").splitlines()
    assert text[:4] == [r"\begin{table}", r"\centering", r"\caption{6 runs\_x}", "TABULAR"]
    assert text[-2] == r"{\footnotesize \S{} one seed\par * differs\par}"
    assert "footnotesize" not in captioned("TABULAR", "6 runs")


def test_an_accuracy_is_bold_only_where_it_is_significantly_the_best():
    good, same, poor = (
        answered_rows(name, accuracy)
        for name, accuracy in (("good", 0.9), ("same", 0.899), ("poor", 0.3))
    )
    tied, evidence = stored(good, same, poor)
    assert r"\textbf" not in to_text(tabulate(tied, evidence=evidence), "latex")
    frame, evidence = stored(good, poor)
    text = to_text(tabulate(frame, evidence=evidence), "latex")
    [line] = [line for line in text.splitlines() if r"\textbf" in line]
    assert line.startswith("digits & good") and r"\textbf{0.8975 [" in line
    alone = stored(*(answered_rows(n, a, seeds=[0]) for n, a in (("good", 0.9), ("poor", 0.3))))
    text = to_text(tabulate(alone[0], evidence=alone[1]), "latex")
    assert r"\textbf" not in text and r"& 1\S{} &" in text
