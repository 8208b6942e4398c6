"""The store in MySQL or MariaDB: the events of an app as rows of a database that others use too."""

from act_fast.stores.mysql.store import MySqlStore

__all__ = ["MySqlStore"]
