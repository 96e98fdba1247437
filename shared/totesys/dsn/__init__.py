"""DSNs as libpq reads them: URLs and keywords, services, password files, and what the environment adds."""
