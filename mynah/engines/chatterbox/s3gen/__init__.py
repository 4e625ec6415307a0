"""S3Gen, which turns speech tokens into sound: flow encoder, flow solver, vocoder.

25 tokens are one second, 50 mel frames, 24,000 samples.
"""
