"""The app that tests are given: of accounts, in memory; and places on servers that projections write to."""

from collections.abc import Iterator

import pytest

from tests.support.apps import app_with_reactions as app
from tests.support.databases import MariaDatabase, Place, PostgresSchema

__all__ = ["app", "place"]


@pytest.fixture(params=["psycopg", "sqlalchemy", "mariadb"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """An empty place on a server: by psycopg, by SQLAlchemy and psycopg, or by SQLAlchemy and PyMySQL."""
    found: Place
    if request.param == "mariadb":
        found = MariaDatabase(request.getfixturevalue("mariadb"))
    else:
        found = PostgresSchema(request.getfixturevalue("postgres"), request.param)
    yield found
    found.remove()
