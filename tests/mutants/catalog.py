"""Every mutation there is."""

from typing import Final

from tests.mutants.core_log import LOG
from tests.mutants.core_reactions import REACTIONS
from tests.mutants.core_recovery import RECOVERY
from tests.mutants.facade import FACADE
from tests.mutants.mutation import Mutation

__all__ = ["MUTATIONS"]

MUTATIONS: Final[tuple[Mutation, ...]] = (*LOG, *RECOVERY, *REACTIONS, *FACADE)
