"""What a run was: recipe, data, numbers, networks, settings, machine; of two runs, where they differ."""

from __future__ import annotations

from typing import Any

from minigan.nn.summary import as_html
from minigan.runs.evaluation import significant
from minigan.runs.found import Found
from minigan.runs.machine import kept_machine
from minigan.runs.markup import Runs, aligned, facts_table, heads, shown


def identity(runs: Runs) -> str:
    """Recipe, data, numbers and networks."""
    facts = aligned([identity_of(run) for run in runs])
    settings = aligned([{name: shown(value) for name, value in run.settings.items()} for run in runs])
    return (
        facts_table(runs, facts)
        + recipe_fields(runs)
        + networks(runs)
        + f"<details><summary>Settings of the run</summary>{facts_table(runs, settings)}</details>"
    )


def identity_of(run: Found) -> dict[str, str]:
    data, own = run.config["dataset"], run.config.get("own")
    facts = {"recipe": run.name, "source": run.recipe.source if run.recipe else ""}
    if own:
        facts["source"] = f"a recipe of one's own: class {own['class']}, from {own.get('from') or 'no file'}"
    more = " with its test images" if data.get("test_images") else ""
    more += f", chosen by seed {data['split_seed']}" if data.get("split_seed") is not None else ""
    more += f", from {data['path']}" if data.get("path") else ""
    facts |= {
        "seed": shown(run.config["seed"]),
        "epochs": progress(run),
        "steps": f"{run.step:,} updates of D" + (f", {run.epoch_steps:,} an epoch" if run.epoch_steps else ""),
        "trained on": f"{data['images']:,} images of {data['name']}{more}",
        "SHA-256 of the images": data["sha256"],
        "took": duration(run),
    }
    if changes := run.config.get("changes"):
        facts["changed on the way"] = "; ".join(map(change_told, changes))
    return facts


def change_told(change: Any) -> str:
    """What was changed when a run went on, as config.json records it: {"epoch": …, field: [before, after]}."""
    if not isinstance(change, dict):
        return shown(change)
    moved = {name: " → ".join(map(shown, pair)) for name, pair in change.items() if isinstance(pair, list)}
    return f"after epoch {shown(change.get('epoch'))}: {shown(moved)}"


def progress(run: Found) -> str:
    """How far it is, in words."""
    planned = shown(run.fields.get("epochs", "?"))
    if run.place is None:
        return f"0 of {planned} epochs: it has just been started"
    epoch, steps = run.place
    more = f" and {steps:,} steps" if steps else ""
    end = ", finished" if run.config.get("finished") == epoch == run.fields.get("epochs") else ", not finished"
    return f"{epoch} of {planned} epochs{more}{end}"


def duration(run: Found) -> str:
    if run.seconds is None:
        return "not recorded yet"
    minutes, seconds = divmod(round(run.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    words = [f"{hours:,} h"] * (hours > 0) + [f"{minutes} min"] * (hours + minutes > 0) + [f"{seconds} s"]
    rows = run.logs["timing.jsonl"]
    each = f", {significant(1e3 * run.seconds / rows[-1]['step'])} ms a step" if rows[-1]["step"] else ""
    return " ".join(words) + each


def recipe_fields(runs: Runs) -> str:
    """The recipe's numbers that are not as published, or differ; all of them, folded away."""
    every = aligned([{name: field(run, name) for name in run.fields} for run in runs])
    notable = [
        (name, texts)
        for name, texts in every
        if len(set(texts)) > 1 or any(name in run.defaults and run.fields[name] != run.defaults[name] for run in runs)
    ]
    own = [run for run in runs if not run.defaults]
    what = "changed of the recipe, or differs" if len(runs) > 1 else "changed of the recipe"
    told = f"<h3>What was {what}</h3>"
    if own:
        told = f"<h3>What {'differs' if len(runs) > 1 else 'the recipe says'}</h3>"
        notable = notable if len(runs) > 1 else every
    told += facts_table(runs, notable) if notable else "<p>Nothing: every number is the recipe's own.</p>"
    return (
        f"{told}<details><summary>All {len(every)} numbers of the recipe</summary>{facts_table(runs, every)}</details>"
    )


def field(run: Found, name: str) -> str:
    """The value of a recipe's field, and what the recipe has there, if that is another."""
    value = run.fields[name]
    if name in run.defaults and value != run.defaults[name]:
        return f"{shown(value)} (the recipe: {shown(run.defaults[name])})"
    return shown(value)


def networks(runs: Runs) -> str:
    """The layers of G and D; of two runs once, where they have the same."""
    found = [run.networks() for run in runs]
    parts = []
    for name in ("G", "D"):
        tables = [each.get(name) for each in found]
        same = all(rows == tables[0] for rows in tables)
        titles = [name] if same else heads(runs, f"{name} of {{}}")
        for title, rows in zip(titles, tables[: len(titles)], strict=True):
            content = f'<div class="scroll">{as_html(rows)}</div>' if rows else '<p class="none">not recorded</p>'
            parts.append(f'<div class="network"><h3>{title}</h3>{content}</div>')
    return f'<div class="networks">{"".join(parts)}</div>'


def machines(runs: Runs) -> str:
    return facts_table(runs, aligned([machine_of(run) for run in runs]))


def machine_of(run: Found) -> dict[str, str]:
    versions, machine = run.config.get("versions"), kept_machine(run.folder)
    versions = versions if isinstance(versions, dict) else {}
    return {
        **{name: shown(machine.get(name, "not recorded")) for name in ("system", "cores", "blas")},
        "device": shown(run.config.get("device", "not recorded")),
        "elementwise work": shown(run.config.get("elementwise") or "not recorded"),
        **{name: shown(versions.get(name, "not recorded")) for name in ("minigan", "numpy", "python")},
        "took": duration(run),
    }
