"""Alice alone in a process of her own: ``python alice_process.py RUN PORT`` serves one Bob and prints her key's digest."""

import socket
import sys

import qkdlab
from qkdlab.accounting import Agreement
from qkdlab.classical_channel import SocketChannel
from qkdlab.parties import Alice, replayed

recording = qkdlab.open(sys.argv[1])
agreement = Agreement(recording.source, recording.sync, recording.receiver, recording.distill)
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=300) as connection:
    alice = Alice(recording.choices, agreement, SocketChannel(connection), replayed(recording.public_seed),
                  {"simulated": True})
    alice.serve()
print(alice.sha256())
