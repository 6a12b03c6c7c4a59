"""One thread and one seed for every test of this package.

Tests that PyTorch compiles or exports in are the group "compiler": what they import, which takes seconds, one process
imports.
"""

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
