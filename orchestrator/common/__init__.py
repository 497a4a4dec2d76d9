"""What every room uses: words, errors, paths, units, processes, and output to the terminal."""
