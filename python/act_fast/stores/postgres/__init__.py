"""The store in PostgreSQL: the events of an app as rows of a database that others use too."""

from act_fast.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
