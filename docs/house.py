"""The map of the house: minigan's folders on floors, each above all that it imports, read from the code's own imports.

python docs/house.py OUT.svg        the map as a file; the page `tour` draws it whenever it is built
"""

from __future__ import annotations

import ast
import html
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "minigan"
WIDTH, BOX, HIGH, GAP = 900, 126, 46, 46  # pixels: of the map, of a room, and from floor to floor
ASIDE = ("__init__", "__main__")


def rooms() -> dict[str, list[Path]]:
    """{folder, or module at the top: its files}."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found.setdefault(path.relative_to(PACKAGE).with_suffix("").parts[0], []).append(path)
    return {name: files for name, files in found.items() if name not in ASIDE}


def imported(path: Path) -> set[str]:
    """The rooms that a file imports when it is itself imported, and a command's also when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if path.parent.name == "cli" else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "minigan":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minigan."):
            found.add(str(node.module).split(".")[1])
    return found


def imports(house: dict[str, list[Path]]) -> dict[str, set[str]]:
    """{room: the rooms that it imports}."""
    every = {name: set().union(*map(imported, files)) for name, files in house.items()}
    return {name: {other for other in found if other in house and other != name} for name, found in every.items()}


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    """{room: its floor}: 0 for one that imports no other, else one above the highest that it imports."""
    found: dict[str, int] = {}

    def floor(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"a circle of imports: {' > '.join([*above, name])}")
        if name not in found:
            found[name] = max((1 + floor(other, (*above, name)) for other in arrows[name]), default=0)
        return found[name]

    for name in arrows:
        floor(name)
    return found


def needed(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows without those that a way over other rooms tells already."""

    def reach(name: str) -> set[str]:
        return arrows[name].union(*(reach(other) for other in arrows[name]))

    return {
        name: {o for o in found if not any(o in reach(p) for p in found if p != o)} for name, found in arrows.items()
    }


def lines(files: list[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def svg() -> str:
    """The map; its colours are those of the page that it stands on."""
    house = rooms()
    arrows = imports(house)
    levels = floors(arrows)
    top = max(levels.values())
    at: dict[str, tuple[float, float]] = {}
    ways = needed(arrows)
    for level in range(top, -1, -1):  # a room stands below those that need it
        above = {n: [at[o][0] for o in at if n in ways[o]] or [WIDTH / 2] for n in house if levels[n] == level}
        row = sorted(above, key=lambda name: sum(above[name]) / len(above[name]))
        for i, name in enumerate(row):
            at[name] = (WIDTH * (i + 0.5) / len(row), (top - level) * (HIGH + GAP) + HIGH / 2 + 4)
    height = (top + 1) * (HIGH + GAP) - GAP + 8
    parts = []
    for name, found in ways.items():
        x, y = at[name]
        for other in sorted(found):
            u, v = at[other]
            y0, v0 = y + HIGH / 2, v - HIGH / 2 - 3
            parts.append(f'<path d="M{x:.0f},{y0:.0f} C{x:.0f},{y0 + 26:.0f} {u:.0f},{v0 - 26:.0f} {u:.0f},{v0:.0f}"/>')
    for name, (x, y) in at.items():
        folder = (PACKAGE / name).is_dir()
        title = html.escape(ast.get_docstring(ast.parse(house[name][0].read_text(encoding="utf-8"))) or name)
        parts.append(
            f'<g><title>{title}</title><rect x="{x - BOX / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{BOX}" '
            f'height="{HIGH}" rx="6" class="{"folder" if folder else "file"}"/>'
            f'<text x="{x:.0f}" y="{y - 3:.0f}" class="name">{name}{"/" if folder else ".py"}</text>'
            f'<text x="{x:.0f}" y="{y + 14:.0f}" class="lines">{lines(house[name]):,} lines</text></g>'
        )
    return f"""<svg class="house" viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg"
 aria-label="minigan's folders, each above those that it imports">
<style>
.house {{ width: 100%; font-family: sans-serif; }}
.house path {{ fill: none; stroke: var(--color-foreground-muted, #888); stroke-width: 1; marker-end: url(#tip); }}
.house .tip {{ fill: var(--color-foreground-muted, #888); stroke: none; marker-end: none; }}
.house rect {{ fill: var(--color-background-secondary, #f4f4f8); stroke: var(--color-brand-primary, #0a4bff); }}
.house rect.file {{ stroke-dasharray: 4 3; }}
.house text {{ text-anchor: middle; fill: var(--color-foreground-primary, #000); }}
.house .name {{ font-size: 14px; font-weight: 600; }}
.house .lines {{ font-size: 10px; fill: var(--color-foreground-muted, #666); }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path class="tip" d="M0,0 L8,4 L0,8 z"/></marker></defs>
{"".join(parts)}
</svg>"""


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].endswith(".svg"):
        sys.exit(__doc__)
    Path(sys.argv[1]).write_text(svg(), encoding="utf-8")
