"""The benchmark: a replay server, contestants in turn, CPU per delta as a table. See run.py."""
