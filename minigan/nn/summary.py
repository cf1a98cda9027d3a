"""A network as a table: its layers, their output shapes and how many parameters each has."""

from __future__ import annotations

import html
from collections.abc import Sequence

from minigan.nn.layer import Layer, Shape

Rows = list[tuple[str, str, str, str]]  # index, layer, output shape, parameters


def summary_rows(layers: Sequence[Layer], in_shape: Shape, out_shapes: Sequence[Shape], counts: Sequence[int]) -> Rows:
    """A head, the input, a row for each layer, and the total; `counts` are the layers' numbers of parameters."""
    rows = [("", "layer", "output", "parameters"), ("", "input", str(in_shape), "")]
    for i, (layer, shape, count) in enumerate(zip(layers, out_shapes, counts, strict=True)):
        rows.append((str(i), repr(layer), str(shape), f"{count:,}"))
    return [*rows, ("", "total", "", f"{sum(counts):,}")]


def as_text(rows: Rows) -> str:
    """For a terminal."""
    width = max(len(layer) for _, layer, _, _ in rows)
    return "\n".join(f"{i:>3} {layer:<{width}} {shape:<16} {count:>12}".rstrip() for i, layer, shape, count in rows)


def as_html(rows: Rows) -> str:
    """For a notebook."""
    cells = [[html.escape(text) for text in row] for row in rows]
    head, *body = (f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in cells)
    return f"<table><thead>{head.replace('td>', 'th>')}</thead><tbody>{''.join(body)}</tbody></table>"
