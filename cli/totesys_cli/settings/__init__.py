"""What services and command can be told, made of their declarations."""
