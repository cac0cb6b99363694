"""neurolib's measures and stimuli on made-up series: python peer_measures.py FILE.

Needs neurolib 0.6.2 alone. `python peer_measures.py tests/neural_measures.npz` renews what the tests read.
"""

from __future__ import annotations

import sys
import warnings

import neurolib.utils.functions as functions
import numpy as np
import scipy.signal
import scipy.stats  # functions.matrix_kolmogorov needs it to be imported
from neurolib.utils import stimulus

DURATION, DT = 96.0, 0.125  # ms; sums of 1/8 are exact, so that no start or end is moved by rounding


def series(seed: int, samples: int = 200, nodes: int = 6) -> np.ndarray:
    """(nodes, samples): correlated noise about oscillations of slightly different frequency."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples)
    waves = np.sin(2 * np.pi * t * np.linspace(0.04, 0.05, nodes)[:, None])
    return 20 * waves + rng.standard_normal((nodes, nodes)) @ rng.standard_normal((nodes, samples))


def measured() -> dict[str, np.ndarray]:
    """Every measure of two series."""
    a, b = series(1), series(2)
    long = series(3, samples=3000)
    return {
        "fc": functions.fc(a),
        "fcd": functions.fcd(a),
        "fcd_10": functions.fcd(a, windowsize=40, stepsize=10),
        "matrix_correlation": functions.matrix_correlation(functions.fc(a), functions.fc(b)),
        "matrix_kolmogorov": functions.matrix_kolmogorov(functions.fc(a), functions.fc(b)),
        "ts_kolmogorov": functions.ts_kolmogorov(a, b),
        "weighted_correlation": functions.weighted_correlation(a[0], b[0], np.arange(200.0)),
        "kuramoto": functions.kuramoto(a),
        "kuramoto_strict": functions.kuramoto(a, distance=5, prominence=12),
        "spectrum": spectrum(long),
    }


def spectrum(x: np.ndarray) -> np.ndarray:
    """getMeanPowerSpectrum at 1 ms; its window "hanning" is called "hann" today."""
    welch = scipy.signal.welch
    functions.scipy.signal.welch = lambda *given, **named: welch(*given, **{**named, "window": "hann"})
    found = np.array(functions.getMeanPowerSpectrum(x, 1.0))
    functions.scipy.signal.welch = welch
    return found


def stimuli() -> dict[str, np.ndarray]:
    """Every stimulus without chance, one node."""
    s = stimulus
    made = {
        "step": s.StepInput(2.0, start=10, end=50),
        "sinusoid": s.SinusoidalInput(1.5, 40.0, start=20),
        "sinusoid_bias": s.SinusoidalInput(1.5, 40.0, dc_bias=True, end=70),
        "square": s.SquareInput(0.5, 35.0),
        "ramp": s.LinearRampInput(3.0, 30.0, start=15.5, end=90),
        "rise": s.ExponentialInput(2.0, start=10),
        "decay": s.ExponentialInput(2.0, exp_coef=5.0, exp_type="decay"),
        "rectified": s.RectifiedInput(0.7),
        "sum": s.StepInput(1.0, start=30) + s.SinusoidalInput(1.0, 20.0),
        "appended": s.StepInput(1.0) & s.ZeroInput() & s.LinearRampInput(1.0, 10.0) & s.StepInput(-1.0),
    }
    return {f"stimulus.{name}": one.as_array(DURATION, DT)[0] for name, one in made.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.savez_compressed(sys.argv[1], **measured(), **stimuli())
