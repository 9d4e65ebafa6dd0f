"""What ``qkdlab`` does without a command: the shipped recording to a key, in words."""

import importlib.resources

from .distill import play

__all__ = ["run"]


def run(arguments):
    """Play the shipped recording and say what to do next."""
    with importlib.resources.as_file(importlib.resources.files("qkdlab.datasets") / "demo") as folder:
        print("Playing the shipped recording: 0.6 s of a decoy-state BB84 link over 50 km, as a time tagger writes it.\n")
        code = play(folder)
    print("\nWhat next:\n"
          "  qkdlab lab                    open the notebooks: a first key, step by step; a live link with sliders\n"
          "  qkdlab inspect FILE           what a time-tag file holds\n"
          "  qkdlab distill RUN            your own recording to a key\n"
          "  qkdlab --help                 everything else")
    return code
