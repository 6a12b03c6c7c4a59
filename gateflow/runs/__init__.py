"""What long work has in common: signals that ask it to end, a Dask cluster."""
