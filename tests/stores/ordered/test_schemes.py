"""Addresses of ordered logs: what opens them, which options are whose, and what is wrong with them."""

import subprocess
import sys

import pytest

from act_fast.errors import ValidationError
from act_fast.stores.ordered.address import parts_of
from act_fast.stores.ordered.schemes import ORDERED_SCHEMES, open_ordered_log, split_address


def test_an_address_is_taken_apart() -> None:
    parts = parts_of("kafka://user:p%40ss%3A1@h1:9092,[::1]:1,h3/a/b%20c?x=1&y=%26")
    assert parts.hosts == (("h1", 9092), ("::1", 1), ("h3", 0))
    assert (parts.user, parts.password, parts.path) == ("user", "p@ss:1", "a/b c")
    assert parts.options == {"x": "1", "y": "&"}
    assert str(parts) == repr(parts) == "kafka://h1:9092,[::1]:1,h3/a/b c"


@pytest.mark.parametrize(
    "address",
    [
        "nats://user:Secr@et1@host/bank",
        "nats://user:Secret1/host/bank",
        "nats://user:Secret1#@host/bank",
        "nats://user:Secret1?@host/bank",
        "nats://user:Secret1%@host/bank",
        "nats://user:Secret1@host:port/bank",
        "nats://user@host/bank?durability=engine&durability=Secret1",
        "nats://user@host/bank?Secret1",
    ],
)
def test_what_cannot_be_read_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ValidationError) as caught:
        open_ordered_log(address)
    assert "ecret1" not in str(caught.value)
    assert "Secr" not in str(caught.value)


def test_options_that_are_not_the_logs_are_split_off() -> None:
    address = "nats://a:p%40@h1,h2/bank?replica=%2Fvar%2Fbank.act&durability=engine&shards=8&creds=a%26b"
    assert split_address(address) == (
        "nats://a:p%40@h1,h2/bank?durability=engine&creds=a%26b",
        {"replica": "/var/bank.act", "shards": "8"},
    )
    assert split_address("nats://h/bank") == ("nats://h/bank", {})
    assert split_address("dir:///var/log?replica=/r") == ("dir:///var/log", {"replica": "/r"})
    with pytest.raises(ValidationError, match="no option replica or shards; there are creds, durability"):
        open_ordered_log(address)


@pytest.mark.parametrize("address", ["", "bank.act", "memory:", "postgres:/x", "http://user:Secret1@h/bank", "nats:h"])
def test_other_addresses_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ValidationError, match=r"there are .*nats:") as caught:
        open_ordered_log(address)
    assert "Secret1" not in str(caught.value)


def test_no_client_is_imported_before_it_is_needed() -> None:
    clients = ["nats", "confluent_kafka", "obstore", "cassandra", "pymongo", "boto3", "pulsar", "psycopg"]
    program = (
        "import sys, act_fast, act_fast.stores.ordered.schemes\n"
        f"print([each for each in {clients} if each in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_every_scheme_has_a_class_that_takes_its_addresses() -> None:
    for scheme in ORDERED_SCHEMES:
        with pytest.raises(ValidationError):
            open_ordered_log(f"{scheme}://?")
