"""Benchmarks: each prints ratios against something named, with the machine it ran on."""
