"""The tables of what step.py has measured: for each kind of machine one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from results import Results

from minigan.recipes import RECIPES
from minigan.train.timing import PARTS

RESULTS = Results("step")
AIMS = {
    "flux-mlp": 1.4, "pytorch-mlp": 1.2, "renom-maxout": 1.4, "flux-dcgan": 1.7, "keras-upconv": 1.7,
    "best": 1.5, "quick-mlp": None,
}  # fmt: skip
SYSTEMS = tuple(AIMS)
GROWN = ("flux-mlp", "flux-dcgan")  # at several sizes
RATES = "products, GFLOP/s"  # a field of a row


def stored() -> dict[str, dict[str, Any]]:
    """{kind of machine: its rows} of results/step.json."""
    found: dict[str, dict[str, Any]] = {}
    for key, row in RESULTS.read().items():
        kind, _, what = key.rpartition(": ")
        found.setdefault(kind, {})[what] = row
    return found


def tables() -> dict[str, str]:
    """{name: in Markdown, a table of the stored results for each kind of machine}."""
    drawn = {"peers": peers_table, "products": products_table, "parts": parts_table}
    drawn |= {"memory": memory_table, "growth": growth_table}
    return {name: for_each_machine(table) for name, table in drawn.items()}


def for_each_machine(table: Callable[[dict], list[str]]) -> str:
    """The table of each machine that has a row of it, below a line that says which it is; `table` gives its lines."""
    parts = []
    for kind, rows in stored().items():
        head, rule, *lines = table(rows)
        if lines:
            multiplies = "; ".join(f"{k}: {v}" for k, v in rows.items() if k.startswith("BLAS "))
            parts.append(f"*{kind}*" + f" ({multiplies})" * bool(multiplies) + "\n\n" + "\n".join([head, rule, *lines]))
    return "\n\n".join(parts) or "(not measured yet)"


def compared(rows: dict) -> Iterator[tuple[str, str, dict]]:
    """(recipe, OPENBLAS_CORETYPE, row) of each comparison that is stored, recipe by recipe."""
    for name in SYSTEMS:
        for key, row in rows.items():
            recipe, _, kernel = key.partition(" ")
            if recipe == name and "ms" in row:
                yield name, kernel, row


def peers_table(rows: dict) -> list[str]:
    lines = [
        "| recipe | OPENBLAS_ CORETYPE | minigan, ms | PyTorch eager, ms | compiled, ms | the best of them "
        "| PyTorch / minigan (rounds) | aim | NumPy's products, GFLOP/s | PyTorch's |",
        "|---" * 10 + "|",
    ]
    for name, kernel, r in compared(rows):
        ms, (low, high) = r["ms"], r.get("ratio_range", (0, 0))
        eager, compiled = (
            f"{least:.1f}" if (least := min((v for k, v in ms.items() if how in k), default=0)) else "–"
            for how in ("eager", "compiled")
        )
        best = r.get("best_peer", "–").removeprefix("PyTorch ").replace("_", " ")
        rates = " | ".join(f"{rate:.0f}" if rate else "–" for rate in map(r[RATES].get, ("NumPy", "PyTorch")))
        lines.append(
            f"| {name} | {kernel} | {ms['minigan']:.1f} | {eager} | {compiled} | {best} "
            f"| **{r.get('ratio', 0):.2f}** ({low:.2f}–{high:.2f}) | {AIMS[name] or '–'} | {rates} |"
        )
    return lines


def products_table(rows: dict) -> list[str]:
    lines = [
        "| recipe | OPENBLAS_ CORETYPE | not products | products within a step, GFLOP/s | by themselves "
        "| products + bytes, ms | share of the roofline |",
        "|---" * 7 + "|",
    ]
    for name, kernel, r in compared(rows):
        within, alone = (f"{r[RATES][k]:.0f}" for k in ("NumPy, within a step", "NumPy"))
        lines.append(
            f"| {name} | {kernel} | {r['not_products']:.0%} | {within} | {alone} "
            f"| {r['products_ms']:.1f} + {r['bytes_ms']:.1f} | {r['roofline']:.0%} |"
        )
    return lines


def parts_table(rows: dict) -> list[str]:
    lines = [
        f"| recipe | step, ms | {' | '.join(PARTS)} | GFLOP | GFLOP/s in products (in all) | arrays of a step, MB "
        "| fresh pages |"
    ]
    lines.append("|---" * (len(PARTS) + 6) + "|")
    for name in SYSTEMS:
        if r := rows.get(f"{name} parts"):
            whole = sum(r["parts_ms"].values())
            shares = " | ".join(f"{ms / whole:.0%}" for ms in r["parts_ms"].values())
            rates = f"{r['products_gflops']:.0f} ({r['gflops']:.0f})"
            lines.append(
                f"| {name} | {r['step_ms']:.1f} | {shares} | {r['gflop']:.1f} | {rates} "
                f"| {r['step_mb']} | {r['fresh_pages']} |"
            )
    return lines


def memory_table(rows: dict) -> list[str]:
    lines = ["| recipe | data | most memory of `minigan train`, MB |", "|---|---|---|"]
    for name in SYSTEMS:
        if r := rows.get(f"{name} memory"):
            lines.append(f"| {name} | {r['dataset']} | {r['peak_mb']} |")
    return lines


def growth_table(rows: dict) -> list[str]:
    lines = ["| recipe | what | times the published | step, ms | memory, MB |", "|---|---|---|---|---|"]
    for name in GROWN:
        for kind, found in rows.get(f"{name} growth", {}).items():
            for k, r in found.items():
                what = f"batch {k}" if kind == "batch" else "width"
                times = f"{int(k) / RECIPES[name].batch_size:g}" if kind == "batch" else k
                lines.append(f"| {name} | {what} | {times} | {r['step_ms']:.1f} | {r['peak_mb']} |")
    return lines
