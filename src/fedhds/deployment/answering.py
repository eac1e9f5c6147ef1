"""The program that answers one message on a site, in place of Flower's ``flwr-clientapp``."""

from __future__ import annotations


def main() -> None:
    """Take Flower's own arguments from the command line."""
    from fedhds.deployment.apps import client_app_of
    from fedhds.federation.supernode import answer_one_message

    answer_one_message(client_app_of)


if __name__ == "__main__":
    main()
