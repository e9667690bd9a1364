"""Score the light curves of your own stars in Python, and the library behind the four scripts.

    >>> import numpy as np
    >>> import exoplanets
    >>> time, flux = np.loadtxt(exoplanets.EXAMPLE_STAR, delimiter=",", skiprows=1).T
    >>> result = exoplanets.score(time, flux)
    >>> result.called, result.verdict, round(result.period_days, 1)
    (True, 'planet candidate', 3.3)

Nothing slow is imported before it is used. The layers of the library import downwards only.
"""

from pathlib import Path

__version__ = "2.4.0"
__all__ = ["EXAMPLE_STAR", "DataError", "Result", "read", "score", "score_many"]
EXAMPLE_STAR = Path(__file__).with_name("sources") / "example_star.csv"
HOMES = {
    "score": "exoplanets.scoring.door",
    "score_many": "exoplanets.scoring.door",
    "read": "exoplanets.scoring.door",
    "Result": "exoplanets.scoring.result",
    "DataError": "exoplanets.files",
}


def __getattr__(name):
    """What the door offers, imported at its first use."""
    if name not in HOMES:
        raise AttributeError(f"module 'exoplanets' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__():
    return [*__all__, "__version__"]
