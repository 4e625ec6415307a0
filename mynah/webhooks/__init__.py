"""Webhooks: what is written for them, which addresses they may have, and how they are sent."""
