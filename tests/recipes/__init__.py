"""The recipes of the README, run as they stand there."""
