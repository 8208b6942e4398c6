"""The list of mutations keeps up with the code: each can still be planted, and names tests that can notice it."""

import pytest

from tests.mutants.catalog import MUTATIONS
from tests.mutants.mutation import Mutation
from tests.mutants.scratch import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
def test_what_a_mutation_replaces_is_in_its_file_exactly_once(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.new != mutation.old


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
def test_the_tests_that_a_mutation_names_are_there(mutation: Mutation) -> None:
    runners = {check.runner for check in mutation.checks}
    assert runners == {"cargo" if mutation.file.startswith("rust/core/") else "pytest"}
    for check in mutation.checks:
        if check.runner == "pytest":
            file, _, test = check.target.partition("::")
            assert f"def {test}" in (ROOT / file).read_text()
        elif check.target != "lib":
            text = (ROOT / "rust/core/tests" / f"{check.target}.rs").read_text()
            assert f"fn {check.only}" in text


def test_no_two_mutations_have_one_name() -> None:
    names = [each.name for each in MUTATIONS]
    assert len(set(names)) == len(names)
