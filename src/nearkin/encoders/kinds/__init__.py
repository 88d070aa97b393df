"""One file a kind of SPEC: what turns it into an encoder."""
