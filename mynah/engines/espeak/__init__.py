"""eSpeak NG: the embedded engine, with no weights and no torch; clones by shaping its speech."""
