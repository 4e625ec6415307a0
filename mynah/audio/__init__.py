"""Audio as numpy arrays: waveform, codecs, resampling, loudness, joining."""
