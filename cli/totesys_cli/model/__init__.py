"""`totesys model`: drafts a model of a source, and checks one against its source."""
