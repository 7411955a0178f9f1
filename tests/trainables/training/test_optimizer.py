"""The optimizer is torch's Adam, and imports no compiler."""

import copy
import subprocess
import sys

import torch

from trainables.training.optimizer import UncompiledAdam

OPTIONS = {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True, "fused": True}

STEPS = """
import sys, torch
from trainables.training.optimizer import UncompiledAdam
network = torch.nn.Linear(2, 2)
optimizer = UncompiledAdam(network.parameters(), fused=True)
optimizer.zero_grad(set_to_none=True)
network(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


def trained(kind: type[torch.optim.Optimizer]) -> tuple[list[torch.Tensor], dict[str, object]]:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = kind([{"params": network.parameters()}], **OPTIONS)
    for step in range(5):
        optimizer.zero_grad(set_to_none=True)
        network(torch.randn(2, 3, 8, 8)).square().sum().backward()
        optimizer.step()
        if step == 2:
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return [*network.parameters()], optimizer.state_dict()


def test_weights_and_states_are_those_of_torch() -> None:
    ours, its_state = trained(UncompiledAdam)
    torchs, state = trained(torch.optim.Adam)
    assert all(torch.equal(one, other) for one, other in zip(ours, torchs, strict=True))
    assert its_state.keys() == state.keys()


def test_a_step_needs_no_gradients_of_itself() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = UncompiledAdam([weight], **OPTIONS)
    (weight * 3.0).sum().backward()
    optimizer.step()
    assert weight.grad_fn is None
    assert weight.is_leaf


def test_every_process_that_trained_imported_a_compiler() -> None:
    """Two to three seconds of CPU time and 75 MiB, for each process of a study."""
    run = subprocess.run(
        [sys.executable, "-c", STEPS], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.strip() == "False"
