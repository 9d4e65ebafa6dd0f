"""A class room: Alice, Bob and Eve at three notebooks, over one simulated link.

Alice's page holds the link, because she knows what she sends. She listens at one address; Bob and Eve call her there. Each
connection begins with a greeting that says what it is for:

========== ============================================================================================================
greeting   what then goes over it
========== ============================================================================================================
settings   the public settings, and nothing else
light      Bob's time tags, a stretch whenever he asks; what Eve did to the photons is in them
words      what the two parties say aloud (:mod:`qkdlab.parties`), for one run
eve        Eve says what she does to the pulses; she is told what she learns, and what everybody can hear
========== ============================================================================================================

Loopback by default: for several PCs Alice gives ``host="0.0.0.0"``. It is a game: whoever reaches the address can play Bob
or Eve, and the keys are good for nothing.
"""

from .alice import AliceDesk
from .bob import BobDesk
from .eve import EveDesk
from .line import PORT, address_of

__all__ = ["PORT", "AliceDesk", "BobDesk", "EveDesk", "address_of"]
