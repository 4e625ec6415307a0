"""One repository per aggregate. A user's rows are only reached with the user's id."""
