"""The report of a study: its record as CSV files, numbers, figures, and the pieces of a page that notebooks show."""
