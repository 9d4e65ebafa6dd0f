"""``qkdlab characterise``"""

import json

from ..errors import BadInput
from . import flags

__all__ = ["HELP", "arguments", "run"]

HELP = "dead time, afterpulsing, dark rate, jitter, pulse rate: from tags alone"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--channel", type=int,
                        help="report on this input only (default: all; the summary is the busiest's)")
    flags.form(parser)
    flags.json(parser)


def run(arguments):
    """Print what the tags tell of the detectors."""
    from ..datasets import open as open_recording
    from ..postprocessing.characterise import characterise
    from ..report import characterise_text

    recording = open_recording(arguments.file, **flags.reader(arguments))
    inputs = recording.receiver.channels if recording.receiver else ()
    try:
        table = characterise(recording.tag_blocks(), channel=arguments.channel,
                             pairs=[inputs[:2], inputs[2:]] if inputs else None,
                             nominal_hz=recording.source.clock_hz if recording.source else None)
    except BadInput as error:
        raise (error if error.where else error.at(arguments.file)) from None
    print(json.dumps(table, allow_nan=False) if arguments.json else characterise_text(arguments.file, table))
