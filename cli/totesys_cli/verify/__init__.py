"""`totesys verify`: the comparison of `totesys.verify`, shown, and what differs mended."""
