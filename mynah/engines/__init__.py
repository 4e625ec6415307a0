"""Speech engines: protocols, catalog (data), registry (lazy import), one folder per engine."""
