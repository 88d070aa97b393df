"""Where clips come from: folders, manifests, data sets and synthetic music."""
