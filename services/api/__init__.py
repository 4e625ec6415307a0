"""The gateway: HTTP in front of the platform. Thin resources over use cases."""
