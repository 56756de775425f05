"""From a space to numbers that can be trusted: ranking, metrics, intervals and baselines."""
