"""Security analyses: (counts, leak, security) -> Bound. One paper, one file."""
