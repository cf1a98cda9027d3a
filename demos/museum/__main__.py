"""A museum of wrong backwards: fifteen bugs, the check that each passed, what minigan says, what became of the digits.

python demos/museum             the list
python demos/museum 6           one exhibit, by its number or its name
python demos/museum all         all of them
python demos/museum digits      train with each bug: docs/images/museum.png and demos/museum/digits.json (minutes)
"""

from __future__ import annotations

import sys
import textwrap

from exhibits import EXHIBITS, Exhibit, find

from minigan.errors import MiniganError


def show(exhibit: Exhibit) -> bool:
    """Print one exhibit; whether the report names the cause."""
    report, heading = exhibit.report(), f"{1 + EXHIBITS.index(exhibit)}. {exhibit.title}"
    print(f"{heading}\n{'=' * len(heading)}\n\n{textwrap.fill(exhibit.story, 100)}\n({exhibit.where})\n")
    print(f"{textwrap.indent(exhibit.code, '    ')}\n")
    print(f"The usual check {exhibit.usual(exhibit.wrong)}.\n\nminigan's check:\n{report}\n")
    named = exhibit.named(report)
    print(f"The cause is {'' if named else 'not '}named.\n")
    return named


def main(arguments: list[str]) -> None:
    match arguments:
        case []:
            for i, exhibit in enumerate(EXHIBITS, start=1):
                print(f"{i:2}  {exhibit.slug:36}  {exhibit.name:20}  {exhibit.where}")
            print("\npython demos/museum NUMBER or NAME shows one, all shows all, digits trains with each of them")
        case ["all"]:
            print(f"The cause was named in {sum(map(show, EXHIBITS))} of {len(EXHIBITS)}.")
        case ["digits"]:
            from digits import hang

            hang()
        case [which]:
            show(find(which))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MiniganError as error:
        sys.exit(str(error))
