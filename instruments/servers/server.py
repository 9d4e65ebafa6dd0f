"""Sockets for simulated devices: one thread, one event loop, any number of devices, loopback only."""

import asyncio
import contextlib
import threading

from qkdlab.errors import BadInput

__all__ = ["HOST", "Server"]

HOST = "127.0.0.1"
_LOOK_S = 0.005                  # how often a connection is asked whether something is due


class Server:
    """Serves devices until closed.

    A device of the schemes ``tcp`` and ``http`` is a byte stream. One of scheme ``zmq`` is a REP socket (a ROUTER in
    fact, which can also stay silent); more of them may come with it in ``device.services``, a dict of name to an object
    with `converse`, like a device.
    """

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated devices", daemon=True)
        self._thread.start()
        self._open, self._context = [], None

    def serve(self, device, port=0):
        """Open a port for a device.

        Returns
        -------
        int
            The port.

        Raises
        ------
        BadInput
            Where it is taken.
        """
        start = self._listen_zmq if device.scheme == "zmq" else self._listen
        try:
            return asyncio.run_coroutine_threadsafe(start(device, port), self._loop).result(10)
        except OSError as error:
            raise BadInput(f"cannot listen there: {error.strerror or error}", where=device.name, field="port",
                           value=port) from None

    def close(self):
        """Close all ports and connections and end the thread."""
        if not self._thread.is_alive():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
            if self._context is not None:
                self._context.destroy(linger=0)

    async def _shut(self):
        for close in reversed(self._open):
            await close()
        await asyncio.sleep(0)                   # transports say goodbye in the loop's next turn

    # ------------------------------------------------------------------------------------------------- byte streams

    async def _listen(self, device, port):
        connections = set()
        server = await self._loop.create_server(lambda: _Stream(device, self._loop, connections), HOST, port)

        async def close():
            server.close()
            for transport in list(connections):
                transport.abort()

        self._open.append(close)
        return server.sockets[0].getsockname()[1]

    # --------------------------------------------------------------------------------------------------------- ZMQ

    async def _listen_zmq(self, device, port):
        import zmq
        import zmq.asyncio

        if self._context is None:
            self._context = zmq.asyncio.Context()
        router = _Router(self._context, device)
        port = router.bind(port)
        task = self._loop.create_task(router.run())

        async def close():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            router.socket.close(linger=0)

        self._open.append(close)
        return port


class _Stream(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, device, loop, connections):
        self._conversation, self._loop, self._connections = device.converse(), loop, connections
        self._transport = self._timer = None

    def connection_made(self, transport):
        self._transport = transport              # asyncio has set TCP_NODELAY
        self._connections.add(transport)
        self._look()

    def connection_lost(self, why):
        self._connections.discard(self._transport)
        if self._timer:
            self._timer.cancel()

    def data_received(self, data):
        out = self._conversation.exchange(data)
        if out:
            self._transport.write(out)
        if self._conversation.closed:
            self._transport.close()

    def _look(self):
        """What the device says on its own or had to wait for."""
        self._timer = self._loop.call_later(_LOOK_S, self._look)
        self.data_received(b"")


class _Router:
    """A ZMQ service that answers REQ sockets."""

    def __init__(self, context, device):
        self._context, self._device = context, device
        self.socket, self._port, self._waiting = None, 0, []

    def bind(self, port):
        import zmq

        self.socket = self._context.socket(zmq.ROUTER)
        self.socket.linger = 0
        try:
            if port:
                self.socket.bind(f"tcp://{HOST}:{port}")
            else:
                port = self.socket.bind_to_random_port(f"tcp://{HOST}")
        except zmq.ZMQError as error:
            self.socket.close()
            raise OSError(error.errno, error.strerror) from None
        self._port = port
        return port

    async def run(self):
        """Requests to answers, for ever. Each request is a conversation: a late answer still finds its asker."""
        while True:
            if await self.socket.poll(1000 * _LOOK_S if self._waiting else 1000):
                *envelope, request = await self.socket.recv_multipart()
                self._waiting.append((envelope, self._device.converse(), request))
            still = []
            for envelope, conversation, request in self._waiting:
                answer = self._exchange(conversation, request)
                if conversation.closed:
                    await self._rebind()
                    still = []
                    break
                if answer is not None:
                    await self.socket.send_multipart([*envelope, answer])
                elif conversation.pending:
                    still.append((envelope, conversation, b""))
            self._waiting = still

    def _exchange(self, conversation, request):
        """What a stream would do by losing its connection: a device that fails says nothing, the others go on."""
        try:
            return conversation.exchange(request)
        except Exception as error:
            what = {"message": f"{self._device.name} failed at {request!r}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(what)
            return None

    async def _rebind(self):
        """A broken connection: all that was asked is forgotten. ZMQ lets go of a port some time after the socket."""
        self.socket.close(linger=0)
        while True:
            try:
                self.bind(self._port)
                return
            except OSError:
                await asyncio.sleep(_LOOK_S)
