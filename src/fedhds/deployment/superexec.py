"""The program that starts the site's programs, in place of Flower's ``flower-superexec``."""

from __future__ import annotations


def main() -> None:
    """Take Flower's own arguments from the command line."""
    from fedhds.deployment.apps import ANSWERING
    from fedhds.federation.supernode import run_superexec

    run_superexec(ANSWERING)


if __name__ == "__main__":
    main()
