"""Decides what runs next and writes records; knows nothing of Ray."""
