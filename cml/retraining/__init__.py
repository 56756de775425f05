"""Train again on fresh data, judge against the current version, publish or refuse."""
