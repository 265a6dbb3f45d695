"""The one way to the database: URLs, engines, migrations."""
