"""The zones in the directory, and how BIND comes to serve them."""
