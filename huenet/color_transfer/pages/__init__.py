"""Pages for a browser: the report of an evaluation, and a questionnaire on real and painted photos."""
