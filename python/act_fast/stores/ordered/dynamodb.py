"""An ordered log in DynamoDB: one item for each block, put on the condition that there is none of its number."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from act_fast.errors import EngineAwayError, EngineError, EngineRefusedError, ValidationError
from act_fast.stores.ordered.address import Parts, parts_of
from act_fast.stores.ordered.numbered import NumberedLog

__all__ = ["DynamoDbOrderedLog"]

_BLOCK_BYTES_MAX: Final = 390_000  # an item may have 400 KB
_POLL_SECONDS: Final = 0.2
_POLL_SECONDS_MIN: Final = 0.01
_REFUSED: Final = (
    "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException",
    "MissingAuthenticationTokenException", "MissingAuthenticationToken", "IncompleteSignature", "InvalidClientTokenId",
)  # fmt: skip
_AWAY: Final = (
    "ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "InternalServerError",
    "ServiceUnavailable", "ReplicatedWriteConflictException", "LimitExceededException",
)  # fmt: skip


class DynamoDbOrderedLog(NumberedLog):
    """A log in a table that may have others, made when it is not there.

    Args:
        address: `dynamodb://key:secret@region/table/log`. Without a key, the credentials are those of the environment.
            Options: `endpoint=` (a URL), and `poll=`, how many seconds at most until a new record is looked for.

    Raises:
        EngineAwayError: it cannot be reached.
        EngineRefusedError: the credentials are wrong, or lack a permission.
    """

    def __init__(self, address: str) -> None:
        parts = parts_of(address)
        items = _Items(parts)
        items.make_table()
        super().__init__(str(parts), items)


class _Items:
    """Blocks as items."""

    bytes_max = _BLOCK_BYTES_MAX

    def __init__(self, parts: Parts) -> None:
        self._table, _, self._log = parts.path.partition("/")
        if len(parts.hosts) != 1 or not self._table or not self._log:
            raise ValidationError(
                "an address in DynamoDB names a region, a table and a log, as in dynamodb://eu-central-1/logs/bank"
            )
        longest = parts.seconds("poll", _POLL_SECONDS)
        self.poll_seconds = (min(_POLL_SECONDS_MIN, longest), longest)
        self._name = str(parts)
        login = {"aws_access_key_id": parts.user, "aws_secret_access_key": parts.password} if parts.user else {}
        # A put that was done and is retried inside would look refused.
        config = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}, max_pool_connections=16)
        self._client: Any = Session(region_name=parts.hosts[0][0], **login).client(
            "dynamodb", endpoint_url=parts.options.get("endpoint"), config=config
        )

    def make_table(self) -> None:
        """Make the table, and return once it is there."""
        with _asking(self._name):
            try:
                if self._client.describe_table(TableName=self._table)["Table"]["TableStatus"] == "ACTIVE":
                    return
            except self._client.exceptions.ResourceNotFoundException:
                self._create_table()
            self._client.get_waiter("table_exists").wait(
                TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )

    def put(self, number: int, block: bytes) -> bool:
        """Put an item unless there is one of its number."""
        item = {**self._key(number), "block": {"B": block}, "size": {"N": str(len(block))}}
        with _asking(self._name):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(#number)",
                    ExpressionAttributeNames={"#number": "number"},
                )
                return True
            except self._client.exceptions.ConditionalCheckFailedException:
                return False

    def get(self, number: int, count: int) -> Sequence[bytes]:
        """Query items, up to the first that is not there."""
        with _asking(self._name):
            found = self._client.query(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="#log = :log and #number between :first and :last",
                ExpressionAttributeNames={"#log": "log", "#number": "number"},
                ExpressionAttributeValues={
                    ":log": {"S": self._log}, ":first": {"N": str(number)}, ":last": {"N": str(number + count - 1)},
                },
            )["Items"]  # fmt: skip
        return [_block(item) for each, item in enumerate(found, number) if int(item["number"]["N"]) == each]

    def size(self, number: int) -> int | None:
        """The size of an item's block."""
        with _asking(self._name):
            found = self._client.get_item(
                TableName=self._table,
                Key=self._key(number),
                ConsistentRead=True,
                ProjectionExpression="#size",
                ExpressionAttributeNames={"#size": "size"},
            ).get("Item")
        return int(found["size"]["N"]) if found else None

    def empty(self, first: int, below: int) -> None:
        """Leave of items their numbers."""
        with _asking(self._name):
            for number in range(first, below):
                self._client.put_item(TableName=self._table, Item={**self._key(number), "size": {"N": "0"}})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _key(self, number: int) -> dict[str, dict[str, str]]:
        return {"log": {"S": self._log}, "number": {"N": str(number)}}

    def _create_table(self) -> None:
        try:
            self._client.create_table(
                TableName=self._table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[
                    {"AttributeName": "log", "KeyType": "HASH"},
                    {"AttributeName": "number", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[
                    {"AttributeName": "log", "AttributeType": "S"},
                    {"AttributeName": "number", "AttributeType": "N"},
                ],
            )
        except self._client.exceptions.ResourceInUseException:
            """Another writer was faster."""


def _block(item: dict[str, Any]) -> bytes:
    return bytes(item["block"]["B"]) if "block" in item else b""


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """Turn what the client raises into our errors. None carries credentials."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _REFUSED:
            raise EngineRefusedError(f"{name} refuses the credentials, or they lack a permission: {code}") from None
        if code in _AWAY or status >= 500:
            raise EngineAwayError(f"{name} does not answer: {code}") from None
        raise EngineError(f"{name} refuses: {code}") from None
    except (NoCredentialsError, PartialCredentialsError):
        raise EngineRefusedError(
            f"{name} needs credentials, and neither its address nor the environment has any"
        ) from None
    except (BotoCoreError, OSError) as error:
        raise EngineAwayError(f"{name} does not answer: {type(error).__name__}") from None
