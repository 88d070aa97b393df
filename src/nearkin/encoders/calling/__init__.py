"""Between a model and a vector: batches, windows, layers, devices, answers read."""
