"""`elastic-images up`: prepares the data folder and keeps the apps running.

It holds only pipes and process ids. What needs the database runs in a process of its own (`prepare`), to keep the
supervisor small.
"""
