"""Text before it is spoken: cleaning and cutting into pieces with pauses."""
