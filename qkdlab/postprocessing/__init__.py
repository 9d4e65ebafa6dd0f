"""Steps from clicks to key, as functions of data."""
