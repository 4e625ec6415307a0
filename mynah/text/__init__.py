"""Text before it is spoken: markup, cutting, words, pauses. ``planning`` is the way in."""
