"""Compare: whether two warehouses of one lake are equal but for generated ids."""
