"""The layers of the transit network in which nothing is learnt: matched filters and folding."""

import functools
import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from exoplanets.lightcurves.equalise import common_colour

DURATIONS = (4, 7, 12)  # cadences, 2 to 6 h, of the boxes that light curves are filtered with
SIDE = 12  # cadences a matched filter reaches beyond its box; the noise forgets within two
QUIET = 240  # cadences (5 d), the blocks in which the scatter is measured
QUARTERS = 4  # of the light curve: none of them may make a period by itself


@keras.saving.register_keras_serializable("exoplanet_hosts")
class Fold(layers.Layer):
    """Fold event series over trial periods: a box search on what was learnt.

    For every trial period and phase the n events at that phase are summed: `strength` is the sum
    over sqrt(n), `lasting` the strength that is left without the quarter of the light curve that
    gives most, scaled to n, so that neither one deep dip nor a burst of them makes a period. The
    largest of each over phase comes out for every period. Nothing is learnt here.

    Parameters
    ----------
    shortest, longest : float
        Trial periods, steps of the series: 0.65 to 27 days. A period needs two events.
    spacing : float
        Relative distance of trial periods: four steps of drift over 720.

    Notes
    -----
    Input (n_stars, n_steps, n_series), any n_steps; output (n_stars, n_periods, 2 n_series + 1):
    strengths / 4, lasting strengths / 4, and log(period / 50 steps).
    """

    def __init__(self, shortest=8.0, longest=330.0, spacing=4 / 720, **kwargs):
        super().__init__(**kwargs)
        self.shortest, self.longest, self.spacing = shortest, longest, spacing
        n_periods = int(np.log(longest / shortest) / np.log1p(spacing)) + 1
        self.periods = (shortest * (1 + spacing) ** np.arange(n_periods)).astype(np.float32)

    def get_config(self):
        """Arguments that make the same layer again."""
        names = ("shortest", "longest", "spacing")
        return super().get_config() | {name: getattr(self, name) for name in names}

    def compute_output_shape(self, shape):
        """Shape of the output, of that of the input."""
        return (shape[0], len(self.periods), 2 * shape[-1] + 1)

    def call(self, series):
        """Fold; see the class."""
        n_series = series.shape[-1]
        n_steps = tf.shape(series)[1]
        # (n_steps + 1, n_stars * n_series): a gather then copies whole rows; the last is 0.
        events = tf.reshape(tf.transpose(series, (1, 0, 2)), (n_steps, -1))
        events = tf.concat([events, tf.zeros_like(events[:1])], 0)

        def fold(period):
            n_rows = tf.cast(tf.math.ceil(tf.cast(n_steps, tf.float32) / period), tf.int32)
            first = tf.cast(tf.round(tf.cast(tf.range(n_rows), tf.float32) * period), tf.int32)
            index = first[:, None] + tf.range(tf.cast(period, tf.int32) + 1)
            n = tf.reduce_sum(tf.cast(index < n_steps, tf.float32), 0)[:, None]
            index = tf.minimum(index, n_steps)
            edges = [n_rows * quarter // QUARTERS for quarter in range(QUARTERS + 1)]
            sums = [
                tf.reduce_sum(tf.gather(events, index[low:high]), 0)
                for low, high in itertools.pairwise(edges)
            ]
            total, greatest = tf.add_n(sums), functools.reduce(tf.maximum, sums)
            n_left = n - tf.cast(tf.math.ceil(n_rows / QUARTERS), tf.float32)
            per_phase = tf.where(n > 1.5, tf.math.rsqrt(n), 0.0)
            strength = total * per_phase
            lasting = (total - greatest) * (per_phase * n / tf.maximum(n_left, 1.0))
            return tf.stack([tf.reduce_max(strength, 0), tf.reduce_max(lasting, 0)])

        n_periods = len(self.periods)
        best = tf.map_fn(fold, tf.constant(self.periods), parallel_iterations=4) / 4
        best = tf.reshape(best, (n_periods, 2, -1, n_series))
        best = tf.reshape(tf.transpose(best, (2, 0, 1, 3)), (-1, n_periods, 2 * n_series))
        log_period = tf.math.log(tf.constant(self.periods) / 50)[None, :, None]
        return tf.concat([best, tf.tile(log_period, (tf.shape(best)[0], 1, 1))], 2)


def find_matched_filter(duration):
    """Filter that finds a box in noise of the common colour best, of unit variance there.

    The box, filtered twice by what whitens that noise [1]_.

    Parameters
    ----------
    duration : int
        Of the box, cadences.

    Returns
    -------
    ndarray of shape (max(DURATIONS) + 2 SIDE,), float32
        Positive for a dip.
    """
    length = max(DURATIONS) + 2 * SIDE
    box = np.zeros(512)
    box[(length - duration) // 2 :][:duration] = -1
    power = common_colour(np.fft.rfftfreq(len(box)))
    matched = np.fft.irfft(np.fft.rfft(box) / power)
    return (matched / np.sqrt(matched @ box))[:length].astype(np.float32)


@keras.saving.register_keras_serializable("exoplanet_hosts")
class Matched(layers.Layer):
    """Single-event statistics of boxes of several durations: matched filters, nothing learnt.

    Each is measured in units of its own scatter in the blocks of `QUIET` cadences around: pointing
    noise comes and goes. Clipped, so that no single dip weighs more than four of its scatters.

    Notes
    -----
    Input (n_stars, n_cadences, 1), any n_cadences; output of one statistic per cadence and
    duration, (n_stars, n_cadences, len(DURATIONS)).
    """

    def build(self, shape):
        """Compute the filters."""
        filters = [find_matched_filter(duration) for duration in DURATIONS]
        self.filters = tf.constant(np.stack(filters, axis=1)[:, None])

    def compute_output_shape(self, shape):
        """Shape of the output, of that of the input."""
        return (*shape[:2], len(DURATIONS))

    def call(self, curve):
        """Filter; see the class."""
        curve = tf.clip_by_value(curve, -8.0, 2.0)  # filters answer half as much beside a bump
        found = tf.nn.conv1d(curve, self.filters, 1, "SAME")
        n_cadences = tf.shape(found)[1]
        n_blocks = n_cadences // QUIET
        some = found[:, : n_blocks * QUIET : 2]  # neighbours are much alike
        blocks = tf.reshape(some, (-1, n_blocks, QUIET // 2, len(DURATIONS)))
        scatter = 1.4826 * keras.ops.median(tf.abs(blocks), axis=2)
        least = 0.5 * keras.ops.median(scatter, axis=1, keepdims=True)
        scatter = tf.maximum(tf.maximum(scatter, least), 1e-6)
        block = tf.minimum(tf.range(n_cadences) // QUIET, n_blocks - 1)
        return tf.clip_by_value(found / tf.gather(scatter, block, axis=1), -8.0, 4.0)
