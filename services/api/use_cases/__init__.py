"""What the gateway does, as plain functions over a unit of work. The caller commits."""
