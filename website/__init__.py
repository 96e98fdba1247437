"""The documentation as a website, built from the repository's own pages."""
