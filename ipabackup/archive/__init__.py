"""One backup on disk: its header, its payload stream and its manifest."""
