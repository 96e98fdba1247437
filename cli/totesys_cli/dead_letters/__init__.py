"""Dead letters: the messages that a service has given up."""
