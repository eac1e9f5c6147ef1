"""The federation: what travels, who says what when, and how it is run. The only importer of flwr.

Flower and Ray report usage, and Flower asks for updates, unless told not to; all is off here.
"""

import os

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
