"""Kernels for GPUs, in Triton, made from the gates' formulas.

Nothing here imports Triton before a kernel is asked for. With ``TRITON_INTERPRET=1`` in the environment before that,
kernels run on tensors of the CPU, step by step in NumPy: what the tests do.
"""
