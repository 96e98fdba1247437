"""Doctor: whether everything that the system needs is there and as it should be, and how to mend what is not."""
