"""Speech engines: protocols, the catalog (data), the registry (lazy import) and one folder per engine."""
