"""The server's API: JSON-RPC behind httpd, acting on the directory as the caller."""
