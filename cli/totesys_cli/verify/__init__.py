"""`totesys verify`: the verification of `totesys.verify`, printed, and the repair of wrong rows."""
