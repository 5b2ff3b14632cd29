"""The realm's certificate authority, in the place and the file layout that Dogtag has in FreeIPA."""
