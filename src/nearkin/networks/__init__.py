"""The paper's networks, and the files they are kept in."""
