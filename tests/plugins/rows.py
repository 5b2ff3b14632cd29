"""Pytest plugin: select tests by the row of docs/requirements.md that they prove, and list the rows."""
