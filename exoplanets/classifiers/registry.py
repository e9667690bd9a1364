"""The classifiers that are compared: one line each.

The first is the repository's own: `stars.csv`, the candidates and the occlusion are about its
scores. `cnn_classifier.py` adds the network of the published study, which is defined there.
"""

from exoplanets.classifiers.box import BoxLeastSquares
from exoplanets.classifiers.repeats import RepeatCount
from exoplanets.classifiers.transit import Transit

CLASSIFIERS = [
    Transit,
    BoxLeastSquares,
    RepeatCount,
]
