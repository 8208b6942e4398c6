"""From a `mysql://` URL to where a store is."""

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from act_fast.errors import ValidationError

__all__ = ["Place", "place_of"]

_SCHEMES: Final = ("mysql", "mariadb")
_PREFIX: Final = "act_fast"
_PREFIX_FITS: Final = re.compile(r"[a-z][a-z0-9_]{0,39}").fullmatch
_TLS: Final = ("ssl_ca", "ssl_cert", "ssl_key")
_SECONDS: Final = ("connect_timeout", "lock_timeout")
_KNOWN: Final = ("prefix", "unix_socket", *_TLS, *_SECONDS)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})").search
_SECONDS_MAX: Final = 31_536_000


@dataclass(frozen=True, repr=False)
class Place:
    """Where a store is. Its text carries no password, so errors and logs may show it.

    Attributes:
        options: how to connect, as PyMySQL takes it; with the password.
        prefix: what the names of the store's tables begin with.
        lock_seconds: how long an append waits for a lock; None for as long as the server says.
        shown: host, port, database and prefix, for people.
    """

    options: dict[str, Any] = field(hash=False)
    prefix: str
    lock_seconds: int | None
    shown: str

    def __repr__(self) -> str:
        return self.shown

    __str__ = __repr__


def place_of(url: str) -> Place:
    """Read a URL: `mysql://user:password@host:port/database?prefix=bank&ssl_ca=…`.

    Raises:
        ValidationError: it cannot be read. The message repeats nothing of it that may be a password.
    """
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        host, port = parts.hostname or "", parts.port or 3306
    except ValueError:
        raise _unreadable() from None
    if parts.scheme not in _SCHEMES:
        raise ValidationError(f"{parts.scheme!r} is not a MySQL address; write mysql://user@host/database")
    database = unquote(parts.path.removeprefix("/"))
    if not url.startswith(f"{parts.scheme}://"):
        raise _unreadable()
    # A password with one of these letters in it would be cut there, and its end taken for a host or a database.
    if parts.netloc.count("@") > 1 or "@" in parts.path or "/" in database or parts.fragment or _BAD_ESCAPE(url):
        raise _unreadable()
    if not database:
        raise ValidationError("the MySQL address names no database; write mysql://user@host/database")
    given = dict(pairs)
    if not given.keys() <= set(_KNOWN):
        raise ValidationError(f"the MySQL address has an option that is not known; there are {', '.join(_KNOWN)}")
    prefix = given.get("prefix", _PREFIX)
    if not _PREFIX_FITS(prefix):
        raise ValidationError(
            f"prefix={prefix!r} cannot begin the names of tables: it has 1 to 40 letters from a to z, digits and _, and"
            " begins with a letter"
        )
    seconds = {each: _seconds(each, given[each]) for each in _SECONDS if each in given}
    options: dict[str, Any] = {
        "host": host or "localhost",
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": database,
        "connect_timeout": seconds.get("connect_timeout", 10),
        **{each: given[each] for each in (*_TLS, "unix_socket") if each in given},
    }
    if "ssl_ca" in given:
        options |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
    where = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{where}{f':{parts.port}' if parts.port else ''}/{database}?prefix={prefix}"
    return Place(options, prefix, seconds.get("lock_timeout"), shown)


def _seconds(name: str, text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) < 10 and 1 <= int(text) <= _SECONDS_MAX):
        raise ValidationError(f"{name}= in the MySQL address must be a number of seconds, from 1")
    return int(text)


def _unreadable() -> ValidationError:
    return ValidationError(
        "the MySQL address cannot be read (it is not repeated here, since it may carry a password); write"
        " mysql://user:password@host:3306/database, and in a password %40 for @, %3A for :, %2F for /, %3F for ?, %23"
        " for # and %25 for %"
    )
