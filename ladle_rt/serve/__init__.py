"""Many cameras on one machine: one engine, one page, one file that says what runs."""
