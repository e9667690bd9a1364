"""The Keras layer that finds candidates in light curves and describes them."""

from exoplanets.classifiers.keras_tools import keras, tf
from exoplanets.search.features import NUMBERS, POINTS, VIEWS, find_features


@keras.saving.register_keras_serializable("exoplanets")
class FoldedCandidates(keras.layers.Layer):
    """Light curves to the numbers and views of their best candidates; nothing is learnt here.

    `features.find_features`, in NumPy. From (n_stars, n_cadences, 1), any n_cadences from 500, to
    (n_stars, n_best, len(NUMBERS)) and (n_stars, n_best, POINTS, len(VIEWS)).
    """

    def __init__(self, n_best, **kwargs):
        super().__init__(**kwargs)
        self.n_best = n_best

    def get_config(self):
        """Arguments that make the same layer again."""
        return super().get_config() | {"n_best": self.n_best}

    def compute_output_shape(self, shape):
        """Shapes of the outputs, of that of the input."""
        rows = shape[0], self.n_best
        return (*rows, len(NUMBERS)), (*rows, POINTS, len(VIEWS))

    def call(self, curves):
        """Find and describe; see the class."""
        numbers, views = tf.numpy_function(
            lambda x: find_features(x[:, :, 0], self.n_best)[:2], [curves], (tf.float32, tf.float32)
        )
        for_numbers, for_views = self.compute_output_shape(curves.shape)
        numbers.set_shape(for_numbers)
        views.set_shape(for_views)
        return numbers, views
