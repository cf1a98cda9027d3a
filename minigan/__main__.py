"""python -m minigan"""

from minigan.cli.main import main

main()
