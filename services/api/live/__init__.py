"""Listeners who stay: events of a job, and its speech while it is made.

Each takes a thread of the gateway, so they are few by rule (``slots``), wait together on one
thread that asks the database (``watching``), and are noticed when they leave (``connection``).
Those who come over a WebSocket are in ``sockets``.
"""
