"""From the address of an ordered log, `scheme://user:password@host:port,host:port/path?option=…`, to its parts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from act_fast.errors import ValidationError

__all__ = ["Parts", "parts_of", "split_options"]

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2})").search
_PORT_MAX: Final = 65535
_SECONDS_MAX: Final = 3600.0


@dataclass(frozen=True, repr=False)
class Parts:
    """An address, taken apart. Its text carries no credentials, so errors and logs may show it.

    Attributes:
        scheme: what is before `://`.
        hosts: with ports, in the order given; a port is 0 where none was given.
        path: what follows the first `/`, unquoted; empty when nothing does.
        user: empty when there is none.
        password: empty when there is none.
        options: what follows `?`.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    options: Mapping[str, str]

    def __repr__(self) -> str:
        hosts = ",".join(_shown(host, port) for host, port in self.hosts)
        return f"{self.scheme}://{hosts}/{self.path}"

    __str__ = __repr__

    def choice(self, name: str, values: Sequence[str]) -> str:
        """An option that is one of several words; the first of them unless it is given."""
        value = self.options.get(name, values[0])
        if value not in values:
            raise ValidationError(f"{name}= in the address of {self} must be {' or '.join(values)}")
        return value

    def count(self, name: str, default: int) -> int:
        """An option that is a whole number from 1."""
        value = self.options.get(name, str(default))
        if not (value.isascii() and value.isdecimal() and 0 < int(value) < 2**31):
            raise ValidationError(f"{name}= in the address of {self} must be a whole number from 1")
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        """An option that is a number of seconds above 0."""
        try:
            value = float(self.options.get(name, default))
        except ValueError:
            value = 0.0
        if not 0 < value <= _SECONDS_MAX:
            raise ValidationError(
                f"{name}= in the address of {self} must be a number of seconds, up to {_SECONDS_MAX:g}"
            )
        return value


def parts_of(address: str) -> Parts:
    """Take an address apart.

    Raises:
        ValidationError: it cannot be read. The message repeats nothing of it that may be a password.
    """
    try:
        split = urlsplit(address)
        pairs = parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query))
        login, _, hosts = split.netloc.rpartition("@")
        found = tuple(_host(each) for each in hosts.split(",")) if hosts else ()
    except ValueError:
        raise _unreadable() from None
    # A password with one of these letters in it would be cut there, and its end taken for a host or a path.
    wrong = "@" in login or "@" in split.path or split.fragment or _BAD_ESCAPE(address)
    if wrong or not address.startswith(f"{split.scheme}://") or len(dict(pairs)) < len(pairs):
        raise _unreadable()
    user, _, password = login.partition(":")
    path = unquote(split.path.removeprefix("/"))
    return Parts(split.scheme, found, path, unquote(user), unquote(password), dict(pairs))


def split_options(address: str, own: frozenset[str]) -> tuple[str, dict[str, str]]:
    """The address with the options of `own` only, and all the others."""
    options = parts_of(address).options
    split = urlsplit(address)
    kept = urlencode({key: value for key, value in options.items() if key in own})
    whole = f"{split.scheme}://{split.netloc}{split.path}{kept and f'?{kept}'}"  # also where there is no host
    return whole, {key: value for key, value in options.items() if key not in own}


def _host(text: str) -> tuple[str, int]:
    split = urlsplit(f"//{text}")
    port = split.port or 0
    if not split.hostname or not 0 <= port <= _PORT_MAX:
        raise ValueError
    return split.hostname, port


def _shown(host: str, port: int) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def _unreadable() -> ValidationError:
    return ValidationError(
        "the log's address cannot be read (it is not repeated here, since it may carry a password); write"
        " scheme://user:password@host:port/name?option=value, each option once, and in a password %40 for @, %3A for"
        " :, %2F for /, %3F for ?, %23 for # and %25 for %"
    )
