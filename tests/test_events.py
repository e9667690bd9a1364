"""search/events.py: how well a single dip fits, whatever the star's noise."""

import numpy as np
import pytest
from scipy import linalg

from exoplanets.lightcurves import equalise
from exoplanets.search.events import (
    DURATIONS,
    compress_events,
    find_events,
    find_matched_filter,
)


def make_coloured(rng, n):
    """One light curve of noise as equalised light curves have it."""
    power = equalise.common_colour(np.abs(np.fft.fftfreq(n)))
    spectrum = np.fft.fft(rng.normal(size=(1, n))) * np.sqrt(power / power.mean())
    return np.fft.ifft(spectrum).real


def test_matched_filters_find_their_boxes_best():
    """The oracle is the least-squares one, of the covariance of noise of the common colour."""
    n, rng = 400, np.random.default_rng(0)
    power = equalise.common_colour(np.abs(np.fft.fftfreq(n)))
    covariance = linalg.toeplitz(np.fft.ifft(power).real)
    for duration in DURATIONS:
        found = find_matched_filter(duration)
        box = np.zeros(n)
        box[200 : 200 + duration] = -1
        best = np.linalg.solve(covariance, box)
        best /= np.sqrt(best @ box)  # unit variance in that noise, and the greatest answer
        first = 200 - (len(found) - duration) // 2
        np.testing.assert_allclose(found, best[first : first + len(found)], atol=1e-4)
    noise = np.fft.ifft(np.fft.fft(rng.normal(size=(200, n))) * np.sqrt(power)).real
    assert np.std(noise[:, first : first + len(found)] @ found) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("n", [500, 1200, 3197])
def test_events_are_the_filters_answer_in_units_of_their_scatter(n):
    curve = make_coloured(np.random.default_rng(0), n)
    events = find_events(curve)
    assert (events.shape, events.dtype) == ((1, len(DURATIONS), n), np.float32)
    assert np.std(events, axis=2)[0] == pytest.approx(1, abs=0.25)
    for events_of_one, duration in zip(events[0], DURATIONS, strict=True):
        plain = np.correlate(curve[0], find_matched_filter(duration), "same")
        inner = slice(40, -40)
        assert np.corrcoef(plain[inner], events_of_one[inner])[0, 1] > 0.95


def test_a_noisy_stretch_has_no_more_events_than_a_quiet_one():
    curve = make_coloured(np.random.default_rng(0), 2400)
    curve[:, 960:1440] *= 5
    events = find_events(curve)[0]
    loud, quiet = events[:, 1080:1320], events[:, 1700:2300]
    np.testing.assert_allclose(np.std(loud, axis=1), np.std(quiet, axis=1), rtol=0.35)


def test_an_event_is_in_the_middle_of_its_dip_and_is_no_bump():
    curve = make_coloured(np.random.default_rng(1), 2400)
    curve[0, 1998:2003] -= 6
    curve[0, 1198:1203] += 6
    for events in find_events(curve)[0]:
        assert abs(np.argmax(events) - 2000) <= 4 and events.max() > 5
        assert events[1200] < 0


def test_the_end_of_a_light_curve_says_nothing_about_its_beginning():
    curve = make_coloured(np.random.default_rng(2), 500)
    before = find_events(curve)[:, :, :30]
    curve[0, -8:] -= 20
    np.testing.assert_allclose(find_events(curve)[:, :, :30], before, atol=1e-3)


def test_compressed_events_keep_their_order():
    events = np.linspace(-2.5, 400, 999)
    assert (np.diff(compress_events(events)) > 0).all()
    assert compress_events(np.array(0.2)) == pytest.approx(0.2, rel=0.01)
    # One event of a hundred scatters outweighs three of five, and not four.
    assert 2.5 < compress_events(np.array(100.0)) / compress_events(np.array(5.0)) < 4
    assert compress_events(np.array(-50.0)) == pytest.approx(-3)
