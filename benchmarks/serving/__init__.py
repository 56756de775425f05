"""What the benchmarks of the service share: a synthetic model, servers as processes, a load generator."""
