"""The Redis sides that there are; each says what strikes it, and what it may lose by its nature."""

from pair import Pair
from watched import Watched

SIDES = {"single": Pair, "sentinel": Watched}
