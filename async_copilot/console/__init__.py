"""The console: what a person types in, what a terminal or a pipe shows out.

``__main__`` reads the command line and prints; everything else it takes from here.
"""
