"""Hardware, real or simulated, behind the same few verbs."""
