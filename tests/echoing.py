"""A resident worker with a tiny app; a program, as relays start it, and what tests know of it."""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import count
from pathlib import Path

from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fedhds.federation.worker import serve

PROGRAM = "echoing"
CODE, REASON = 77, "it is what it is"
"""Of the error reply to a selection."""

BUSY = "busy"
"""The file that is written into the site's folder when a worker begins to train, for long."""


def echoing_app() -> ClientApp:
    """Build an app that tells of itself, refuses, takes long, or dies, by the kind of message."""
    app, calls = ClientApp(), count(1)

    @app.query("hello")
    def hello(message: Message, context: Context) -> Message:
        told = {
            "process": os.getpid(),
            "call": next(calls),
            "group": message.metadata.group_id,
            "kind": message.metadata.message_type,
            "node": context.node_id,
            "run": context.run_id,
            "node_config": json.dumps(context.node_config),
            "run_config": json.dumps(context.run_config),
        }
        records = RecordDict({**message.content, "told": ConfigRecord(told)})
        return Message(records, reply_to=message)

    @app.query("select")
    def select(message: Message, context: Context) -> Message:
        return Message(Error(CODE, REASON), reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        Path(str(context.node_config["folder"]), BUSY).touch()
        time.sleep(600)
        raise AssertionError

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        if context.node_config.get("raises"):
            raise KeyError("a private word")
        os._exit(1)

    return app


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), echoing_app())
