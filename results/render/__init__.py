"""The table in the formats that people read: HTML, Markdown, LaTeX, CSV and the terminal."""
