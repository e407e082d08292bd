"""The version, where pyproject.toml, ``--version`` and the user agent read it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
