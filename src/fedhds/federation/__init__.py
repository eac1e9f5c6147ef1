"""The federation: what travels, who says what when, and how it is run. The only importer of flwr.

Flower reports usage and asks for updates unless told not to; both are off here.
"""

import os

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
