"""Analyses that only the built-in task has: synthetic images as an obstacle or a resource, and features."""
