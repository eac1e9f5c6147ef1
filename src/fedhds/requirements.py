"""What an experiment needs of this machine beside its data and model, checked before either."""

from __future__ import annotations

from fedhds import trackers
from fedhds.config import Config
from fedhds.federation import simulation
from fedhds.pretrained import check_quantization, resolve_device
from fedhds.signals import cache_folder, check_cache
from fedhds.types import UserError


def check(config: Config) -> None:
    """Refuse an experiment whose extras or devices are not here.

    Raises
    ------
    UserError
        Naming the key and, where a package is missing, the extra that brings it.
    """
    trackers.check(config.tracking)
    device = resolve_device(config.model.device)
    if config.model.quantization:
        check_quantization(config.model.quantization, device)
    if config.reads - {"tuned"}:
        try:
            check_cache()
        except OSError as error:
            raise UserError(
                f"the folder '{cache_folder()}' for what a frozen model reads cannot be written "
                f"to: set FEDHDS_CACHE to another ({error.strerror})"
            ) from error
    if config.federation.engine == "simulation":
        simulation.check(config.federation.client_cpus, config.federation.client_gpus, device)
