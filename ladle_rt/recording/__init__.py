"""The raw recording, ``.lrec``: its file format, what writes it and what plays it again."""
