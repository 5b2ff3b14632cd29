"""389 Directory Server: connection, instances, offline tools and LDIF."""
