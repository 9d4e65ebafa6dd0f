"""A live link: Alice's choices and Bob's time tagger as a source for a session."""

__all__ = ["LiveLink"]


class LiveLink:
    """A source over instruments, taken by :class:`qkdlab.Session` like a recording or a simulated link.

    Parameters
    ----------
    choices : object with ``source``, ``sync`` and ``at(slots)``
        What the sender plays (see :mod:`qkdlab.choices`).
    receiver : ReceiverSettings
    tagger : qkdlab.instruments.TimeTagger
    """

    def __init__(self, choices, receiver, tagger):
        self.choices, self.source, self.sync = choices, choices.source, choices.sync
        self.receiver, self.tagger = receiver, tagger
        self.simulated = tagger.simulated

    def blocks(self, seconds, block_seconds):
        """Bob's tags for about `seconds` of wall time by the tagger's clock, then the tagger is stopped."""
        self.tagger.start()
        try:
            for index, tags in enumerate(self.tagger.blocks(block_seconds), start=1):
                yield tags
                if index * block_seconds >= seconds:
                    return
        finally:
            self.tagger.stop()
