"""`python -m examples.fastapi_app [--store bank.act|postgresql://…] [--port 8000]`: serve the bank."""

from argparse import ArgumentParser
from collections.abc import Sequence

import uvicorn

from examples.fastapi_app.app import make_api


def main(argv: Sequence[str] | None = None) -> None:
    """Run the service until Ctrl-C."""
    parser = ArgumentParser(prog="python -m examples.fastapi_app", description="The bank behind HTTP.")
    parser.add_argument("--store", default="bank.act", help="a directory, or the address of a database")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args(argv)
    uvicorn.run(make_api(arguments.store), port=arguments.port)


if __name__ == "__main__":
    main()
