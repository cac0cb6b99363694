"""The linear-nonlinear cascade of a population of exponential integrate-and-fire neurons, computed from one neuron."""
