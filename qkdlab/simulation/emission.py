"""A source that has left its settings, as the closed forms take it."""

from dataclasses import dataclass

from ..datatypes import SourceSettings
from ..errors import BadInput
from ..settings import Settings, setting

__all__ = ["Emission"]


@dataclass(frozen=True, slots=True)
class Emission(Settings):
    """What leaves Alice, where that is not what she agreed upon: a drifted bias, a laser that ages or is off.

    It stands in for a :class:`SourceSettings` in :mod:`.expected`; tags are made with it through
    :class:`.settings.ModulatorSettings`. The intensities keep their places and need not be decreasing.
    """

    source: SourceSettings
    intensities: tuple[float, ...] = setting(help="mean photon numbers that are sent, in the order of the agreed ones",
                                             unit="photons/pulse", low=0, high=1000)

    def check(self):
        if len(self.intensities) != len(self.source.intensities):
            raise BadInput(f"one for each of the {len(self.source.intensities)} agreed intensities is expected",
                           field="intensities", value=list(self.intensities))

    @property
    def achieved_probabilities(self):
        """As agreed: see :class:`SourceSettings`."""
        return self.source.achieved_probabilities

    @property
    def achieved_key_basis_probability(self):
        """As agreed."""
        return self.source.achieved_key_basis_probability

    @property
    def clock_hz(self):
        """As agreed."""
        return self.source.clock_hz
