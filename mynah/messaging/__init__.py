"""Celery and Redis: the app, the sender, the consumer. Their only home."""
