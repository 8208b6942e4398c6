"""The ordered log in Kafka keeps the rules of `OrderedLog`, on three brokers; and what is particular to it.

All in one file, since brokers take long to start.
"""

import traceback
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import ExitStack
from itertools import count

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from act_fast.errors import (
    EngineAwayError,
    EngineError,
    EngineRefusedError,
    NotDurableError,
    RecordTooLargeError,
    ValidationError,
)
from act_fast.stores.ordered import kafka as adapter
from act_fast.stores.ordered.kafka import KafkaOrderedLog
from act_fast.testing.conformance.ordered_log import (
    Disturb,
    OpenLog,
    OrderedLogConformance,
    read_all,
    records,
    with_patience,
)
from tests.support.kafka import PASSWORD, USER, KafkaBrokers
from tests.support.servers import free_port

_numbers = count(1)


@pytest.fixture
def topic() -> str:
    return f"own-{next(_numbers)}"


def admin_of(brokers: KafkaBrokers) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers.hosts, "log_level": 0})


def make(brokers: KafkaBrokers, topic: str, partitions: int = 1, replicas: int = 3, **config: str) -> None:
    """Make a topic as somebody else would: otherwise like ours."""
    ours = {
        "min.insync.replicas": "2", "retention.ms": "-1", "retention.bytes": "-1",
        **{key.replace("_", "."): value for key, value in config.items()},
    }  # fmt: skip
    admin = admin_of(brokers)
    admin.create_topics([NewTopic(topic, partitions, replicas, config=ours)])[topic].result()


class TestKafka(OrderedLogConformance):
    @pytest.fixture
    def open_log(self, kafka_cluster: KafkaBrokers) -> Iterator[OpenLog]:
        url = kafka_cluster.url(f"log-{next(_numbers)}")
        with ExitStack() as opened:
            yield lambda: opened.enter_context(KafkaOrderedLog(url))

    @pytest.fixture
    def disturb(self, kafka_cluster: KafkaBrokers) -> Disturb:
        def cut() -> None:
            for each in kafka_cluster.proxies:
                each.cut()

        return cut


def test_a_topic_is_made_that_forgets_nothing_and_asks_for_two_brokers(kafka_cluster: KafkaBrokers, topic: str) -> None:
    KafkaOrderedLog(kafka_cluster.url(topic)).close()
    resource, admin = ConfigResource(ResourceType.TOPIC, topic), admin_of(kafka_cluster)
    found = admin.describe_configs([resource])[resource].result()
    assert {key: found[key].value for key in ("min.insync.replicas", "retention.ms", "cleanup.policy")} == {
        "min.insync.replicas": "2", "retention.ms": "-1", "cleanup.policy": "delete",
    }  # fmt: skip
    (partition,) = admin.list_topics(topic).topics[topic].partitions.values()
    assert len(partition.replicas) == 3


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"min_insync_replicas": "1"}, "acknowledges what is on one broker only"),
        ({"retention_ms": "1000000"}, "forgets"),
        ({"retention_bytes": "1000000000"}, "forgets"),
        ({"cleanup_policy": "compact"}, "forgets"),
        ({"unclean_leader_election_enable": "true"}, "led by a broker that lacks records"),
    ],
)
def test_a_topic_that_may_lose_records_is_refused_unless_it_is_accepted(
    kafka_cluster: KafkaBrokers, topic: str, config: dict[str, str], said: str
) -> None:
    make(kafka_cluster, topic, **config)
    with pytest.raises(NotDurableError, match=said):
        KafkaOrderedLog(kafka_cluster.url(topic))
    KafkaOrderedLog(f"{kafka_cluster.url(topic)}?durability=engine").close()


def test_a_topic_of_one_replica_is_refused_and_more_than_there_are_brokers_too(
    kafka_cluster: KafkaBrokers, topic: str
) -> None:
    with pytest.raises(NotDurableError, match="fewer than 5 brokers"):
        KafkaOrderedLog(f"{kafka_cluster.url(topic)}?replicas=5")
    make(kafka_cluster, topic, replicas=1)
    with pytest.raises(NotDurableError, match="one broker only"):
        KafkaOrderedLog(kafka_cluster.url(topic))


def test_a_topic_of_several_partitions_is_refused(kafka_cluster: KafkaBrokers, topic: str) -> None:
    make(kafka_cluster, topic, partitions=2)
    with pytest.raises(EngineError, match="must have one partition, and has 2"):
        KafkaOrderedLog(f"{kafka_cluster.url(topic)}?durability=engine")


def test_a_topic_that_takes_less_says_so(kafka_cluster: KafkaBrokers, topic: str) -> None:
    make(kafka_cluster, topic, max_message_bytes="5000")
    with KafkaOrderedLog(kafka_cluster.url(topic)) as log:
        assert 4000 < log.max_record < 5000
        log.append(bytes(log.max_record))
        with pytest.raises(RecordTooLargeError):
            log.append(bytes(5000))


def test_a_password_lets_in(kafka_cluster: KafkaBrokers, topic: str) -> None:
    with KafkaOrderedLog(kafka_cluster.guarded_url(topic)) as log:
        assert log.append(b"one") == 1
        assert all(each not in repr(log) + log.name for each in (USER, PASSWORD, "p%40ss"))


@pytest.mark.parametrize("password", ["Secret1"])
def test_wrong_credentials_are_refused_and_not_repeated(kafka_cluster: KafkaBrokers, topic: str, password: str) -> None:
    with pytest.raises(EngineRefusedError) as caught:
        KafkaOrderedLog(kafka_cluster.guarded_url(topic, password=password))
    assert password not in "".join(traceback.format_exception(caught.value))


def test_a_broker_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_AWAY_SECONDS", 1.0)
    monkeypatch.setattr(adapter, "_CLOSE_SECONDS", 1.0)
    with pytest.raises(EngineAwayError):
        KafkaOrderedLog(f"kafka://127.0.0.1:{free_port()}/bank")


@pytest.mark.parametrize("url", ["kafka://h:1/", "kafka:///bank", "kafka://h/a%20b", "kafka://h/..", "kafka://h:x/a"])
def test_an_address_that_names_no_topic_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        KafkaOrderedLog(url)


def test_a_broker_dies_and_nothing_is_lost(kafka_cluster: KafkaBrokers, topic: str) -> None:
    with KafkaOrderedLog(kafka_cluster.url(topic)) as log:
        log.append(b"first")
        (partition,) = admin_of(kafka_cluster).list_topics(topic).topics[topic].partitions.values()
        given = records(300)
        futures = [log.submit(record) for record in given[:100]]
        kafka_cluster.stop(partition.leader - 1)
        try:
            futures += [log.submit(record) for record in given[100:]]
            wait(futures, 60)
            with_patience(log.head)
            entries = read_all(log)
        finally:
            kafka_cluster.start(partition.leader - 1)
            kafka_cluster.wait_for(3)
        places = [future.result(60) for future in futures]
        assert [(each.place, each.record) for each in entries[1:]] == sorted(zip(places, given, strict=True))
