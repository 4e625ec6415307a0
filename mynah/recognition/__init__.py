"""Recognition of speech: what was said, to hold a segment against its text. Optional."""
