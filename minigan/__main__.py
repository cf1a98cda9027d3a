"""python -m minigan"""

from minigan.cli import main

main()
