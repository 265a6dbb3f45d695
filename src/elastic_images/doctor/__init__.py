"""Looks at everything a system needs, says what is wrong and how to mend it."""
