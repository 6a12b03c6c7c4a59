"""What proves a verdict, and its check: nothing here imports `limits`, `signs` or a verdict."""
