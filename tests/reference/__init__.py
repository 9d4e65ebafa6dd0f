"""Every compiled kernel again in plain NumPy: slow, obvious, of the same signature. The tests compare the two."""
