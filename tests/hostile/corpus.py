"""Files that strangers might send to do harm, each with the one outcome that it must have."""

from typing import Final

from tests.hostile.bombs import bombs, endless, largest
from tests.hostile.kinds import damaged, disguised, pixels, shapes
from tests.hostile.metadata import metadata

SMALL: Final = (*shapes(), *pixels(), *damaged(), *disguised())
COSTLY: Final = (*metadata(), *bombs(), *endless(), *largest())
CASES: Final = SMALL + COSTLY
