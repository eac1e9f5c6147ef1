"""What a run would do and take, found out without loading a weight or writing a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedhds import memory
from fedhds.config import Config
from fedhds.evaluation.scores import choose
from fedhds.federation.rounds import count_asked
from fedhds.federation.simulation import places
from fedhds.models import add_adapter
from fedhds.preparation import FederationData, check_models, max_length, read_inputs
from fedhds.pretrained import load_skeleton, resolve_device
from fedhds.types import Codec, Progress


@dataclass(frozen=True)
class Plan:
    """A run in numbers, before it begins.

    Attributes
    ----------
    clients, samples, unseen, validation : int
        Clients, their training samples, samples of unseen tasks to be scored, and samples
        that clients hold out.
    rounds, clients_per_round : int
        How often, and how many clients take part each time.
    parameters, trainable : int
        Of the base model, and of the adapter.
    adapter_bytes : int
        One adapter on the wire; it goes to every client of a round and back.
    merging_bytes, waiting_bytes : int
        What merging a round's adapters takes of the server's memory, and of its disk at most.
    device : str
        Where the model will be.
    memory : dict of str to int
        Bytes by part on that device (see `fedhds.memory.estimate`), in each process.
    processes : int
        How many hold models at a time: the server's and, in a simulation, the clients'.
    """

    clients: int
    samples: int
    unseen: int
    validation: int
    rounds: int
    clients_per_round: int
    parameters: int
    trainable: int
    adapter_bytes: int
    merging_bytes: int
    waiting_bytes: int
    device: str
    memory: dict[str, int]
    processes: int

    @property
    def needed(self) -> int:
        """The most bytes at any time, in all processes."""
        return self.memory["peak"] * self.processes


def plan(config: Config, progress: Progress) -> Plan:
    """Read and check all but the weights, and count (errors as in `fedhds.run`)."""
    device = resolve_device(config.model.device)
    inputs, federation = read_inputs(config, progress), config.federation
    data = inputs.data
    models = inputs.models(config, load_skeleton)
    check_models(config, inputs, models)
    base = models[None].base
    parameters = base.num_parameters()
    model = add_adapter(base, config.adapter_method, config.seed)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    on_wire = _encoded_bytes(config.codec_method, model)
    read = sum(memory.weights(m.base) for source, m in models.items() if source is not None)
    asked = federation.fraction, federation.over_sampling
    clients = len(federation.sites if federation.engine == "deployment" else data.clients)
    taking_part = count_asked(clients, *asked)
    simulated = federation.engine == "simulation"  # in process the clients answer in turn
    return Plan(
        clients=clients,
        samples=sum(len(client.train) for client in data.clients),
        unseen=len(choose(data.unseen, config.evaluation.per_task, config.seed)),
        validation=sum(len(client.validation) for client in data.clients),
        rounds=federation.rounds,
        clients_per_round=taking_part,
        parameters=parameters,
        trainable=trainable,
        adapter_bytes=on_wire,
        merging_bytes=memory.merging(trainable, taking_part, config.aggregation_method.holds),
        waiting_bytes=simulated * (taking_part - 1) * on_wire,
        device=str(device),
        memory=memory.estimate(
            model,
            _shapes(config, data),
            config.tuning,
            device.type,
            config.model.quantization,
            read,
        ),
        processes=_processes(config, len(data.clients)),
    )


def _processes(config: Config, clients: int) -> int:
    federation = config.federation
    if federation.engine != "simulation":
        return 1
    return 1 + min(clients, places(federation.client_cpus, federation.client_gpus))


def _encoded_bytes(codec: Codec, model: Any) -> int:
    """Return the bytes of a model's adapter as a codec writes it."""
    trained = {n: p.shape for n, p in model.named_parameters() if p.requires_grad}
    adapter = {n: np.broadcast_to(np.float32(0), shape) for n, shape in trained.items()}
    specs = codec.schema(adapter).values()
    return sum(np.dtype(s.dtype).itemsize * math.prod(map(int, s.shape)) for s in specs)


def _shapes(config: Config, data: FederationData) -> memory.Shapes:
    """Find the longest of what the model will be given; at the sites of a deployment, the most."""
    held = [sample for client in data.clients for sample in client.train]
    scored = [sample for client in data.clients for sample in client.validation] + data.unseen
    unknown = 0 if held else max_length(config)
    return memory.Shapes(
        sample=max([unknown, *(sample.length for sample in held)]),
        response=max([unknown, *(len(sample.response) for sample in [*held, *scored])]),
        prompt=max((len(sample.prompt) for sample in scored), default=0),
        answer=config.evaluation.max_new_tokens,
        batch=config.evaluation.batch_size,
    )
