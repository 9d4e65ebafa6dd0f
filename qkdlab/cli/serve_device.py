"""``qkdlab serve-device``"""

from ..errors import BadInput

__all__ = ["HELP", "arguments", "run"]

HELP = "a simulated instrument on loopback that speaks the real one's bytes"


def arguments(parser):
    """What the command takes."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="which one; see --list")
    parser.add_argument("--list", action="store_true", help="print the names and what they stand for")
    parser.add_argument("--port", type=int, default=0, help="port on loopback (default: a free one)")
    parser.add_argument("--seed", type=int, default=0, help="whole number that fixes its physics (default: 0)")


def run(arguments):
    """Serve until stopped, or list the devices."""
    from ..instruments.servers import command

    if arguments.list:
        print(command.listing())
        return 0
    if arguments.name is None:
        raise BadInput("which device? `qkdlab serve-device --list` names them")
    return command.serve(arguments.name, arguments.port, arguments.seed)
