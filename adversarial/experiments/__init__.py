"""One module per experiment: `run` returns plain numbers, `draw` turns them into a figure."""
