"""Every mutation there is."""

from typing import Final
from zlib import crc32

from tests.mutants.core_log import LOG
from tests.mutants.core_reactions import REACTIONS
from tests.mutants.core_recovery import RECOVERY
from tests.mutants.core_replica import REPLICA
from tests.mutants.core_share import SHARE
from tests.mutants.facade import FACADE
from tests.mutants.inspector import INSPECTOR
from tests.mutants.moving import MOVING
from tests.mutants.mutation import Mutation
from tests.mutants.mysql import MYSQL
from tests.mutants.postgres import POSTGRES
from tests.mutants.scratch import ROOT
from tests.mutants.switches import LOOKED_UP_IN, SWITCH, switched

__all__ = ["MUTATIONS", "core_with_all_planted", "number_of"]

MUTATIONS: Final[tuple[Mutation, ...]] = (
    *LOG,
    *RECOVERY,
    *REACTIONS,
    *REPLICA,
    *SHARE,
    *FACADE,
    *POSTGRES,
    *MYSQL,
    *MOVING,
    *INSPECTOR,
)


def number_of(mutation: Mutation) -> int:
    """The number that wakes a mutation of the core; one that stays when others come and go."""
    return crc32(mutation.name.encode())


def core_with_all_planted() -> dict[str, str]:
    """The files of the core that differ once all mutations of it are planted, each asleep until its number is named."""
    files: dict[str, list[tuple[int, Mutation]]] = {}
    for each in MUTATIONS:
        if each.runner == "cargo":
            files.setdefault(each.file, []).append((number_of(each), each))
    changed = {file: switched((ROOT / file).read_text(), planted) for file, planted in files.items()}
    return changed | {LOOKED_UP_IN: (ROOT / LOOKED_UP_IN).read_text() + SWITCH}
