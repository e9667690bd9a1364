"""The classifiers that are compared: one line each.

Two have a part of their own, by name: `stars.csv`, the candidates and the occlusion are about the
scores of `MAIN`, and `PERIODS` finds the periods for them. `cnn_classifier.py` adds the network of
the published study, which is defined there.
"""

from exoplanets.classifiers.box import BoxLeastSquares
from exoplanets.classifiers.repeats import RepeatCount
from exoplanets.classifiers.transit import Transit

CLASSIFIERS = [
    Transit,
    BoxLeastSquares,
    RepeatCount,
]
MAIN, PERIODS = Transit.name, BoxLeastSquares.name
