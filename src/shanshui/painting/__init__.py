"""The drawing page: a local server, one worker process with the generator, and the page's files."""
