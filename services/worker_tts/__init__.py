"""The speech workers: they claim pieces, run an engine and store segments."""
