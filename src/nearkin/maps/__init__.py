"""Linear maps of embeddings against what a transformation does to them: made, kept, exported."""
