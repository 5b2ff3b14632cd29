"""Front ends: words into options, results into text."""
