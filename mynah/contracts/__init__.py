"""What crosses a process boundary: task contracts, states, documents and object keys."""
