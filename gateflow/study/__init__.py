"""Theory beside training: what the flow and the optimisers' predictions say, and what trained units did.

Three rungs, from where the theory holds exactly to where it is a guess:

1. :mod:`gateflow.study.exact`: the learning problem itself as a PyTorch model;
2. :mod:`gateflow.study.memory`: a layer of linear units that learns a spectrum of time scales from noisy samples;
3. :mod:`gateflow.study.networks`: whole LSTMs, unit by unit.

PyTorch is imported by whoever trains, not by whoever reads what was kept.
"""
