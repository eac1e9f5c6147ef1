"""Makes ``python -m fedhds`` the same as ``fedhds``."""

from fedhds.cli.main import main

main()
