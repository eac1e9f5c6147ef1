"""The program of a site's resident worker, given its socket and its SuperNode's process."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path


def main() -> None:
    """Serve until the SuperNode, whose process is given, is gone."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, and why
    from fedhds.deployment.apps import own_app
    from fedhds.federation.worker import serve

    logging.basicConfig(level=logging.INFO, format="fedhds worker: %(message)s")
    serve(Path(sys.argv[1]), int(sys.argv[2]), own_app())


if __name__ == "__main__":
    main()
