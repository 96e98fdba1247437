"""Dead letters: messages that a service gave up."""
