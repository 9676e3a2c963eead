"""Every way a trade can go that real processes, one simulated M-Pesa and moved clocks can play."""

from tests.process import answered, disputed
from tests.process.journey import JOURNEYS

assert answered
assert disputed
__all__ = ["JOURNEYS"]
