"""What two or more Mynah services share. Never imports a service."""

__version__ = "0.1.0"
