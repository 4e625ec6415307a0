"""The audio workers: decode, measure, assemble, encode; and the periodic work."""
