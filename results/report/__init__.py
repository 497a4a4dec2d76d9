"""Pages and files: HTML, LaTeX, Markdown, CSV, Parquet, notebook, terminal."""
