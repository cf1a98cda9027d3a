"""Mutation testing: does a test fail for every small mistake in the arithmetic?

    pip install -e ".[test]" cosmic-ray==8.7.0
    python tests/mutation/run.py                    try what has not been tried, then report (hours: see below)
    python tests/mutation/run.py losses nn/norm     only those of these modules
    python tests/mutation/run.py --sample 40        of each module only 40 mutants, drawn at random, always the same
    python tests/mutation/run.py --again            try the survivors once more, after tests were added
    python tests/mutation/run.py --report           only report what has been tried
    python tests/mutation/run.py --json …           put the rows of these modules into results.json, beside this file

A mutant is a module with one operator, comparison, number or truth value changed (`OPERATORS`). It is killed if one of
the module's tests (`MODULES`) fails or hangs. Mutants are made in copies of minigan/ and tests/, one for each of
`--jobs` processes; the checkout is only read. Interrupted, the command goes on where it stopped. A module whose text
has changed starts anew; after other changes of the code or its tests, delete the folder `--work` to start all anew.
On two cores all but gradcheck/ takes half an hour, a sample of 40 of each of its modules another, all of it some hours.

results.json keeps the row of a module as long as its text is the one that was tried, by its digest; `--json --report`
drops the others. With --sample, a score is that of the mutants tried: of n mutants drawn at random it is known to about
1/√n.

A survivor, shown by place and line, is a test to write or a change that no test can see. The latter are listed in
equivalent.json as they are shown, each with the reason (an entry without "becomes" is for all that became of its line),
and the table's last column leaves them out. cosmic-ray makes the mutants and keeps what became of them; the package and
its tests do without it.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import multiprocessing
import os
import random
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import parso
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import OPERATOR_PROVIDERS
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import TestOutcome

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

#: {module: its test files}, the quickest to fail first, as the first failure ends the run: 1 to 5 s of a core, half a
#: second of which is pytest's start. Of nn/, only summary.py has nothing to change: a table has no arithmetic.
MODULES = {
    "backend/products": "oracle layers contract",
    "gan/averaging": "average",
    "gan/feeding": "feeding packing gan",
    "gan/loss": "oracle gan",
    "gan/steps": "oracle gan feeding packing",
    "gradcheck/anything": "anything gradcheck_command diagnosis gradcheck",
    "gradcheck/batches": "batches promises contract",
    "gradcheck/case": "hypotheses causes no_cause diagnosis",
    "gradcheck/causes/amount": "causes_factors hypotheses causes no_cause diagnosis",
    "gradcheck/causes/counts": "causes_factors hypotheses causes no_cause diagnosis",
    "gradcheck/causes/elementwise": "causes_factors hypotheses causes no_cause diagnosis",
    "gradcheck/causes/order": "causes_places hypotheses causes no_cause diagnosis",
    "gradcheck/causes/place": "causes_places hypotheses causes no_cause diagnosis",
    "gradcheck/causes/point": "causes_upstream hypotheses causes no_cause diagnosis",
    "gradcheck/causes/scatter": "causes_terms hypotheses causes no_cause diagnosis",
    "gradcheck/causes/term": "causes_terms hypotheses causes no_cause diagnosis",
    "gradcheck/causes/through": "causes_terms hypotheses causes no_cause diagnosis",
    "gradcheck/causes/upstream": "causes_upstream hypotheses causes no_cause diagnosis",
    "gradcheck/causes/vector": "causes_factors hypotheses causes no_cause diagnosis",
    "gradcheck/compare": "compare others_code steps ties two_passes any_upstream promises gradcheck",
    "gradcheck/contract": "contract_rules promises contract",
    "gradcheck/diagnosis": "diagnose hypotheses causes no_cause diagnosis",
    "gradcheck/elsewhere": "elsewhere others_code two_passes promises gradcheck",
    "gradcheck/form": "form two_passes promises contract gradcheck",
    "gradcheck/games": "games packing gradcheck",
    "gradcheck/kinks": "kinks others_code steps ties gradcheck",
    "gradcheck/linearity": "linearity others_code any_upstream ties gradcheck",
    "gradcheck/numeric": "numeric others_code steps ties gradcheck",
    "gradcheck/precision": "precision promises contract",
    "gradcheck/purity": "purity others_code two_passes any_upstream promises gradcheck",
    "gradcheck/report": "report diagnosis gradcheck_command gradcheck",
    "gradcheck/statistics": "statistics promises contract",
    "gradcheck/steps": "which_step others_code steps ties gradcheck",
    "gradcheck/tangents": "tangents contract",
    "gradcheck/targets": "targets others_code two_passes promises gradcheck",
    "gradcheck/ties": "tied_entries ties others_code",
    "gradcheck/trial": "trial promises contract",
    "losses": "oracle losses",
    "nn/activations": "oracle layers gan train contract",
    "nn/conv/fourier": "layers",
    "nn/conv/im2col": "oracle layers",
    "nn/conv/layers": "oracle layers",
    "nn/conv/resample": "oracle layers",
    "nn/conv/turned": "layers",
    "nn/conv/upconv": "oracle layers",
    "nn/conv/windows": "oracle layers numbers",
    "nn/dense": "oracle layers contract",
    "nn/dropout": "oracle layers network contract",
    "nn/flat": "oracle network copies files",
    "nn/init": "oracle layers recipes",
    "nn/layer": "oracle network names layers contract promises passes",
    "nn/names": "names",
    "nn/network": "oracle network files copies gan contract numbers",
    "nn/norm": "oracle layers contract passes",
    "nn/pool": "oracle layers",
    "nn/shape": "oracle layers network contract",
    "nn/spectral": "oracle layers copies",
    "optim": "oracle optim network copies",
}
#: Without the gradient checks of whole steps, half a minute in which no mutant of the game died that the rest let live,
#: and without the test of those checks' own step.
OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-k"]
KEYWORDS = "not the_gradient_check and not step_of_the_check and not whole_step"
#: {module: what stands for `KEYWORDS`}: of the steps' own checker nothing else is a test.
OWN = {"gradcheck/games": "games or step or recipe or the_gradient_check"}
#: One file after the other in one process: what the first file kills need not wait for the others to be read.
RUNNER = "import pytest, sys; sys.exit(next((code for f in sys.argv[1:] if (code := pytest.main([*{}, f]))), 0))"
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # which took two thirds of pytest's start

#: What is counted of a module's mutants.
COUNTS = ("mutants", "untried", "killed", "timeout", "survived", "equivalent")

#: Opposites and, for comparisons, neighbours; a number becomes one more and one less. Operators on bits occur only in
#: type annotations, and replacing + by ** or < by == fails too loudly to teach anything.
OPERATORS = [
    *(f"ReplaceBinaryOperator_{change}" for change in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul")),
    *(f"ReplaceBinaryOperator_{change}" for change in ("FloorDiv_Div", "Mod_Mul", "Pow_Mul")),
    *(f"ReplaceComparisonOperator_{change}" for change in ("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt")),
    *(f"ReplaceComparisonOperator_{change}" for change in ("Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt")),
    *(f"ReplaceComparisonOperator_{change}" for change in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *("ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Not", "AddNot", "NumberReplacer"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
]


class ReplaceInPlace(Operator):
    """The opposite of an assignment in place: what optimisers are written in, and cosmic-ray leaves alone."""

    opposite = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}  # noqa: RUF012

    def mutation_positions(self, node):
        if node.type == "operator" and node.value in self.opposite:
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.value = self.opposite[node.value]
        return node

    @classmethod
    def examples(cls):
        return ()


OPERATOR_PROVIDERS["core"] = {name: OPERATOR_PROVIDERS["core"][name] for name in OPERATORS}
OPERATOR_PROVIDERS["minigan"] = {"ReplaceInPlace": ReplaceInPlace}


def text_of(module):
    """What tells one text of a module from another: its lines without the imports, which have no mutants."""
    source = Path(f"minigan/{module}.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return hashlib.sha256("\n".join(filter(None, lines)).encode()).hexdigest()[:12]


def open_session(module, work):
    """cosmic-ray's database of the module's mutants and their results, one for each text that the module has had."""
    path = Path(f"minigan/{module}.py")
    source = path.read_text(encoding="utf-8")
    session = WorkDB(work / f"{module.replace('/', '-')}-{text_of(module)}.sqlite", WorkDB.Mode.create)
    if session.num_work_items == 0:
        found, tree = WorkDB(":memory:", WorkDB.Mode.create), parso.parse(source)
        init([path], found, {})

        def meant(item):
            mutation = item.mutations[0]
            parent = tree.get_leaf_for_position(mutation.start_pos).parent
            if "BinaryOperator" in mutation.operator_name:  # not the stars of `def f(*, x)` and `{**a}`
                return parent.type in ("arith_expr", "term", "power")
            return parent.get_code(include_prefix=False) != "strict=True"  # zip's: it asserts what is so

        session.add_work_items([item for item in found.work_items if meant(item)])
    return session


def command(module):
    files = [
        path.relative_to(ROOT).as_posix()
        for name in MODULES[module].split()
        for path in (ROOT / "tests").rglob(f"test_{name}.py")
    ]
    return shlex.join([sys.executable, "-c", RUNNER.format([*OPTIONS, OWN.get(module, KEYWORDS)]), *files])


def enter_a_copy(copies):
    """What a worker process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it
    copy = tempfile.mkdtemp(dir=copies)
    for folder in ("minigan", "tests"):
        shutil.copytree(ROOT / folder, Path(copy, folder), ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    os.chdir(copy)


def seconds_unchanged(tests):
    """How long the command takes if nothing is changed; then it must succeed."""
    began = time.perf_counter()
    outcome, output = run_tests(tests, None)
    if outcome != TestOutcome.SURVIVED:
        raise RuntimeError(f"tests fail without any change: {tests}\n{output}")
    return time.perf_counter() - began


def try_mutant(job):
    module, item, limit = job
    result = mutate_and_test(item.mutations, command(module), limit)
    if result.test_outcome not in (TestOutcome.SURVIVED, TestOutcome.KILLED):
        raise RuntimeError(f"cosmic-ray could not try {item}:\n{result.output}")
    return module, item.job_id, result


def drawn(session, n):
    """The ids of n of the module's mutants, for one text of the module always the same; a larger n adds to them."""
    items = sorted(session.work_items, key=lambda item: (item.mutations[0].start_pos, str(item.mutations[0])))
    random.Random(0).shuffle(items)
    return {item.job_id for item in items[:n]}


def run(sessions, work, jobs, again, sample):
    tasks = {module: list(session.pending_work_items) for module, session in sessions.items()}
    if sample:
        chosen = {module: drawn(session, sample) for module, session in sessions.items()}
        tasks = {module: [item for item in items if item.job_id in chosen[module]] for module, items in tasks.items()}
    if again:
        for module, session in sessions.items():
            done = session.completed_work_items
            tasks[module] += [item for item, result in done if result.test_outcome == TestOutcome.SURVIVED]
    tasks = {module: items for module, items in tasks.items() if items}
    if not tasks:
        return
    shutil.rmtree(work / "copies", ignore_errors=True)  # an interrupted run may have left a mutant in its copy
    (work / "copies").mkdir()
    with multiprocessing.Pool(jobs, enter_a_copy, (work / "copies",)) as pool:
        commands = sorted({command(module) for module in tasks})
        found = dict(zip(commands, pool.map(seconds_unchanged, commands, chunksize=1), strict=True))
        seconds = {module: found[command(module)] for module in tasks}
        print("Unchanged:", ", ".join(f"{module} {s:.1f} s" for module, s in seconds.items()), flush=True)
        queue = [(module, item, 10 + 5 * seconds[module]) for module, items in tasks.items() for item in items]
        random.shuffle(queue)  # so that the time left, told from the time spent, is right from the start
        began = time.perf_counter()
        for done, (module, job_id, result) in enumerate(pool.imap_unordered(try_mutant, queue), start=1):
            sessions[module].set_result(job_id, result)
            spent = (time.perf_counter() - began) / 60
            left = spent / done * (len(queue) - done)
            print(f"\r{done} of {len(queue)} mutants in {spent:.1f} min, {left:.1f} min left ", end="", flush=True)
    print("\n")


def survivors(module, session, equivalent):
    found = []
    for item, result in session.completed_work_items:
        if result.test_outcome == TestOutcome.SURVIVED:
            mutation, changes = item.mutations[0], result.diff.split("\n@@", 1)[1].split("\n")
            was, becomes = ("\n".join(line[1:].strip() for line in changes if line[:1] == sign) for sign in "-+")
            place = {"module": module, "in": mutation.definition_name or "", "was": was, "becomes": becomes}
            why = next((e["why"] for e in equivalent if all(place.get(key, e[key]) == e[key] for key in e)), None)
            if ".reshape(" in was and re.sub(r"(?<!\[)- 2", "-1", becomes) == was:
                why = "NumPy takes -2 in a shape for -1"
            found.append({"line": mutation.start_pos[0], **place, "equivalent": why})
    return sorted(found, key=lambda survivor: survivor["line"])


def row(tried, mutants, found):
    """{column: number} of a module's results, and of its survivors."""
    timeouts, same = sum(r.output == "timeout" for r in tried), sum(s["equivalent"] is not None for s in found)
    killed = len(tried) - len(found)
    counts = {"killed": killed - timeouts, "timeout": timeouts, "survived": len(found), "equivalent": same}
    return scored({"mutants": mutants, "untried": mutants - len(tried), **counts})


def scored(counts):
    """With the scores: percentages of the mutants tried, the second without the equivalent ones."""
    tried = counts["mutants"] - counts["untried"]
    killed = tried - counts["survived"]
    shares = [round(100 * killed / n, 1) if n else None for n in (tried, tried - counts["equivalent"])]
    return {**counts, "score": shares[0], "without equivalent": shares[1]}


def together(rows):
    """The row of all modules."""
    return scored({name: sum(r[name] for r in rows) for name in COUNTS})


def keep(rows, found):
    """Put rows and survivors into results.json; those of other modules stay if their text is what was tried."""
    path = HERE / "results.json"
    before = json.loads(path.read_text(encoding="utf-8"))
    stay = {m: r for m, r in before["modules"].items() if m in MODULES and m not in rows and r["text"] == text_of(m)}
    new = {module: {**r, "text": text_of(module)} for module, r in rows.items()}
    modules = {module: (stay | new)[module] for module in MODULES if module in stay | new}
    left = [s for s in before["survivors"] if s["module"] in stay] + found
    left.sort(key=lambda s: (list(modules).index(s["module"]), s["line"]))
    text = {"modules": {**modules, "together": together(modules.values())}, "survivors": left}
    path.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all if none is named")
    parser.add_argument("--sample", type=int, metavar="N", help="at most N mutants of each module, always the same")
    parser.add_argument("--again", action="store_true", help="try the survivors once more, too")
    parser.add_argument("--report", action="store_true", help="try nothing, only report")
    parser.add_argument("--json", action="store_true", help="put the report into results.json")
    parser.add_argument("--work", type=Path, default=ROOT / "build/mutation", help="where copies and results are kept")
    parser.add_argument("--jobs", type=int, default=2, help="processes at work (default 2)")
    arguments = parser.parse_args()
    if unknown := set(arguments.modules) - MODULES.keys():
        parser.error(f"no such module: {', '.join(sorted(unknown))}")

    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    sessions = {module: open_session(module, work) for module in arguments.modules or MODULES}
    if not arguments.report:
        run(sessions, work, arguments.jobs, arguments.again, arguments.sample)

    equivalent = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    rows, all_found = {}, []
    for module, session in sessions.items():
        tried, found = [result for _, result in session.completed_work_items], survivors(module, session, equivalent)
        if tried or module in arguments.modules:
            rows[module] = row(tried, session.num_work_items, found)
            all_found += found
    if arguments.json:
        keep(rows, all_found)
    rows["together"] = together(rows.values())
    width = max(map(len, rows))
    print(f"{'module':<{width}}", *rows["together"])
    for module, r in rows.items():
        print(f"{module:<{width}}", *(f"{'-' if n is None else n:>{len(column)}}" for column, n in r.items()))
    for survivor in all_found:
        print("\nminigan/{module}.py:{line} {in}\n- {was}\n+ {becomes}".format(**survivor))
        if survivor["equivalent"]:
            print("equivalent:", survivor["equivalent"])


if __name__ == "__main__":
    main()
