"""What tests ask of an app's guard."""

from __future__ import annotations

from flask import Flask

from elastic_images.accounts.guard import rule_of


def endpoints_without_rule(app: Flask) -> list[str]:
    """The endpoints that declare no rule, and so answer 500."""
    return sorted(name for name in app.view_functions if rule_of(app, name) is None)
