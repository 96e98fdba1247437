"""`totesys report`: a page for business users, of one snapshot of the warehouse."""
