"""A toy federation: small instruction-following tasks made from our own words and grammar."""

from fedhds.data.toy.federation import generate
from fedhds.data.toy.tasks import TASKS

__all__ = ["TASKS", "generate"]
