"""`elastic-images up`: prepares the data folder and keeps the apps running.

It holds nothing but pipes and process ids: what needs the database is done by a process of its own (`prepare`), so
that the supervisor stays small.
"""
