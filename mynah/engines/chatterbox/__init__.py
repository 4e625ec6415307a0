"""The Chatterbox engine: its own inference for the weights of Chatterbox's three models."""
