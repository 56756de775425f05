"""Where a registry's versions lie: a local directory, or objects behind a URL."""
