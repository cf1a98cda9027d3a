"""The command line: one file a command, and what they have in common. A mistake ends in one line and exit code 2."""
