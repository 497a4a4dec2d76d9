"""Tests, intervals, power and ranks: pure functions of arrays."""
