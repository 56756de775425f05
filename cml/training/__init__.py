"""From a data set to a metric space: losses, sampling, the engine, the loop, and the search for settings."""
