"""Chatterbox against its own library, on checkpoints of random weights."""
