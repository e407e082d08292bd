"""The version, where pyproject.toml, ``--version`` and the user agent read it."""

__version__ = "0.1.0"
