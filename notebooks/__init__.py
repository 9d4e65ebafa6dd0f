"""The shipped notebooks: ``lab`` for experiments, ``tutorials`` for students. ``qkdlab lab`` copies and opens them."""
