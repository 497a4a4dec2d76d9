"""Puts the other rooms together: a run, its live view, its status, and the checks of a machine."""
