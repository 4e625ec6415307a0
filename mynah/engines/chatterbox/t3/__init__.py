"""T3, the language model that turns text into speech tokens: 25 tokens are one second."""
