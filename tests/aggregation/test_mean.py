import numpy as np
import pytest

from fedhds.aggregation.fedavg import FedAvg
from fedhds.aggregation.uniform import Uniform

TWO = [{"w": np.array([0.0, 4.0], np.float32)}, {"w": np.array([8.0, 0.0], np.float32)}]


def test_fedavg_weighs_by_samples():
    # weights 1/4 and 3/4: (0 + 6, 1 + 0)
    assert FedAvg().aggregate(zip(TWO, [1, 3], strict=True))["w"].tolist() == [6.0, 1.0]


def test_uniform_counts_every_client_once():
    assert Uniform().aggregate(zip(TWO, [1, 3], strict=True))["w"].tolist() == [4.0, 2.0]


def test_no_weight_at_all_is_refused():
    with pytest.raises(ValueError, match="nothing to aggregate"):
        FedAvg().aggregate((adapter, 0) for adapter in TWO)
