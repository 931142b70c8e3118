"""The record of a study as CSV files, and the tables, figures and pages that are made from it."""
