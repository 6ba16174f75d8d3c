"""The chosen embedder, tried where other settings are wrong: whoever corrects them is to hear of everything at once.

Where nothing else is wrong, those who use it tell what is wrong with it; others need not load it.
"""

import os
from collections.abc import Collection, Iterator
from typing import Final

from adapters.vision import registry
from adapters.vision.custom import pipeline as custom
from entrypoints.environment.variables import Problem

_EMBEDDER: Final = "FACEMATCH_EMBEDDER"


def problems(told: Collection[Problem]) -> Iterator[Problem]:
    """Yield what is wrong with it and not among the problems that are told already.

    Where it has no name that is known, somebody's own may be meant.
    """
    wrong = {problem.variable for problem in told}
    name = custom.NAME if _EMBEDDER in wrong else os.environ.get(_EMBEDDER, "").strip()
    variable = custom.VARIABLE if name == custom.NAME else _EMBEDDER
    if not name or variable in wrong:
        return
    try:
        registry.load(name)
    except registry.UnconfiguredEmbedderError:
        return
    except registry.BrokenEmbedderError as error:
        yield Problem(variable, os.environ.get(variable, ""), str(error))
