"""Speech over a WebSocket: the connection, who talks over it, what is heard there and said."""
