"""From a `postgresql://` URL to where a store is."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from act_fast.errors import ValidationError

__all__ = ["Place", "place_of"]

_SCHEMES: Final = ("postgresql", "postgres")
_SCHEMA: Final = "act_fast"
_SCHEMA_BYTES_MAX: Final = 63
_OWN: Final = ("schema", "listen")

# A connection whose other end has vanished without a word is noticed within a minute, not within hours.
_DEFAULTS: Final = {
    "application_name": "act-fast",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


@dataclass(frozen=True, repr=False)
class Place:
    """Where a store is. Its text carries no password, so errors and logs may show it.

    Attributes:
        conninfo: how to connect, as libpq takes it; with the password.
        schema: the schema that the store's tables are in.
        listen: whether notifications reach a listener: not behind a pooler that gives each transaction another session.
        shown: host, port, database and schema, for people.
    """

    conninfo: str
    schema: str
    listen: bool
    shown: str

    def __repr__(self) -> str:
        return self.shown

    __str__ = __repr__


def place_of(url: str) -> Place:
    """Read a URL: `postgresql://user:password@host:port/database?schema=bank&listen=false&sslmode=…`.

    Raises:
        ValidationError: it cannot be read. The message repeats nothing of it that may be a password.
    """
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise _unreadable() from None
    if parts.scheme not in _SCHEMES:
        raise ValidationError(f"{parts.scheme!r} is not a PostgreSQL address; write postgresql://user@host/database")
    # A password with one of these letters in it would be cut there, and its end taken for a host or a database.
    if parts.netloc.count("@") > 1 or "@" in parts.path or parts.fragment:
        raise _unreadable()
    own = {key: value for key, value in pairs if key in _OWN}
    rest = urlencode([(key, value) for key, value in pairs if key not in _OWN], quote_via=quote)
    try:
        found: dict[str, Any] = conninfo_to_dict(urlunsplit(parts._replace(scheme="postgresql", query=rest)))
    except ProgrammingError:
        raise _unknown_option() if _with_unknown_option(rest) else _unreadable() from None
    host, port, database = (found.get(key, "") for key in ("host", "port", "dbname"))
    if not all(each == "" or each.isdecimal() for each in str(port).split(",")):
        raise _unreadable()
    schema, listen = own.get("schema", _SCHEMA), own.get("listen", "true")
    _check_schema(schema)
    if listen not in ("true", "false"):
        raise ValidationError(f"listen={listen!r} must be true or false")
    shown = f"postgresql://{host}{f':{port}' if port else ''}/{database}?schema={schema}"
    return Place(make_conninfo(**{**_DEFAULTS, **found, "client_encoding": "utf8"}), schema, listen == "true", shown)


def _check_schema(schema: str) -> None:
    wrong = any(letter in schema for letter in "\0%")
    if wrong or not schema or len(schema.encode()) > _SCHEMA_BYTES_MAX or schema.startswith("pg_"):
        raise ValidationError(
            f"schema={schema!r} cannot be the schema of a store: a name has 1 to {_SCHEMA_BYTES_MAX} bytes, does not"
            " begin with pg_, and has no %"
        )


def _with_unknown_option(query: str) -> bool:
    known = {each.keyword.decode() for each in Conninfo.get_defaults()} | {"ssl"}
    return any(key not in known for key, _ in parse_qsl(query, keep_blank_values=True))


def _unknown_option() -> ValidationError:
    return ValidationError(
        "the PostgreSQL address has an option that is not known (it is not repeated here, since it may be a piece of a"
        " password); there are schema, listen, and those of libpq, such as sslmode; write ? in a password as %3F"
    )


def _unreadable() -> ValidationError:
    return ValidationError(
        "the PostgreSQL address cannot be read (it is not repeated here, since it may carry a password); write"
        " postgresql://user:password@host:5432/database?schema=act_fast, and in a password %40 for @, %3A for :, %2F"
        " for /, %3F for ? and %23 for #"
    )
