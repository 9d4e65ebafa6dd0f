import sys

from .process import main

main(sys.argv[1:])
