"""`totesys doctor`: checks that report a finding each, and how to fix it."""
