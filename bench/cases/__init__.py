"""What is compared, a module each. Each figure is recorded once what it is of has been verified."""
