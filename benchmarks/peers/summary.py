"""From the records of all processes to tables: medians, paired ratios, spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from benchmarks.peers.arms import ARMS, MODELS

Record = dict[str, Any]
Figure = Callable[[Record], float]
HEAD = (
    "| arm | epoch s | times the harness's | step ms | times the harness's "
    "| first epoch s | accuracy |\n|---|---:|---:|---:|---:|---:|---:|"
)


def epoch_s(record: Record) -> float:
    """Seconds to train and evaluate an epoch, the first one not counted."""
    later = zip(record["train_s"][1:], record["eval_s"][1:], strict=True)
    return median(train + evaluate for train, evaluate in later)


def first_epoch_s(record: Record) -> float:
    return record["train_s"][0] + record["eval_s"][0]


def step_ms(record: Record) -> float:
    return record["step_ms"]


def of_arm(records: Iterable[Record], arm: str, model: str) -> dict[int, Record]:
    """An arm's records without error, by round."""
    return {
        r["round"]: r
        for r in records
        if r["arm"] == arm and r.get("model") == model and "error" not in r
    }


def paired(top: dict[int, float], bottom: dict[int, float]) -> list[float]:
    """The ratios of the rounds that both have."""
    return [top[i] / bottom[i] for i in sorted(top.keys() & bottom.keys())]


def spread(values: Sequence[float], digits: str = ".2f") -> str:
    """The median and, of several values, the smallest and the largest."""
    if not values:
        return "-"
    text = f"{median(values):{digits}}"
    if len(values) == 1:
        return text
    return f"{text} ({min(values):{digits}} to {max(values):{digits}})"


def _figures(records: dict[int, Record], figure: Figure) -> dict[int, float]:
    return {number: figure(record) for number, record in records.items()}


def model_table(records: Sequence[Record], model: str) -> str:
    """One line an arm; arms without a record say why."""
    base = of_arm(records, "harness", model)
    lines = [HEAD]
    for arm in ARMS:
        own = of_arm(records, arm.name, model)
        if not own:
            said = [r["error"] for r in records
                    if r["arm"] == arm.name and r.get("model") == model]  # fmt: skip
            lines += [f"| {arm.name} | {said[0]} | | | | | |"] if said else []
            continue
        cells = [arm.name]
        for figure in (epoch_s, step_ms):
            values = _figures(own, figure)
            ratios = paired(values, _figures(base, figure))
            cells += [spread(list(values.values())), spread(ratios)]
        cells.append(spread(list(_figures(own, first_epoch_s).values()), ".1f"))
        cells.append(f"{median(r['accuracy'] for r in own.values()):.3f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def roofline_table(records: Sequence[Record]) -> str:
    """The harness's step beside what the machine's rates would allow."""
    rates = [r for r in records if r["arm"] == "machine"]
    gflop_s, gb_s = (median(r[name] for r in rates) for name in ("gflop_s", "gb_s"))
    lines = [
        f"The machine: {gflop_s:.0f} GFLOP/s in a 2048 x 2048 float32 product, "
        f"{gb_s:.0f} GB/s read and written.\n",
        "| model | step ms | GFLOP | GB | floor ms: FLOPs | floor ms: bytes "
        "| step over the higher floor | host overhead % |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model in MODELS:
        own = list(of_arm(records, "harness", model).values())
        if not own:
            continue
        gflop = own[0]["extra"]["flops_per_step"] / 1e9
        gb = own[0]["extra"]["bytes_per_step"] / 1e9
        floors = (1e3 * gflop / gflop_s, 1e3 * gb / gb_s)
        took = median(map(step_ms, own))
        host = median(record["extra"]["host_overhead_pct"] for record in own)
        lines.append(
            f"| {model} | {took:.2f} | {gflop:.3f} | {gb:.3f} | {floors[0]:.2f} "
            f"| {floors[1]:.2f} | {took / max(floors):.1f} | {host:.2f} |"
        )
    return "\n".join(lines)


def overhead(records: Sequence[Record], model: str) -> list[float]:
    """Wall time of the engine's epochs over that of the bare scans between them."""
    ratios = []
    for record in of_arm(records, "harness", model).values():
        pairs = list(zip(record["train_s"], record["extra"]["scan_s"], strict=True))[1:]
        ratios += [wall / scan for wall, scan in pairs]
    return ratios
