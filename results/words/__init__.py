"""Numbers and findings as text: formats, verdicts, columns."""
