"""The frame that the three services share: HTTP, the queue's consumer, start and stop."""
