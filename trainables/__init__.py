"""Algorithms, networks, data, the training loop and its Ray Tune trainable."""
