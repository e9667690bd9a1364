"""The classifiers that are compared: one line each.

One has a part of its own, by name: `stars.csv`, the candidates and the occlusion are about what
`MAIN` says. `cnn_classifier.py` adds the network of the published study, which is defined there.
"""

from exoplanets.classifiers.box import BoxLeastSquares
from exoplanets.classifiers.repeats import RepeatCount
from exoplanets.classifiers.transit import Transit

CLASSIFIERS = [
    Transit,
    BoxLeastSquares,
    RepeatCount,
]
MAIN = Transit.name
